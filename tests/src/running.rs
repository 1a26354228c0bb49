//! Which tests are under way, so that the last one knows when it is alone.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

static UNDER_WAY: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// A test under way, until dropped.
#[must_use]
pub struct Test(&'static str);

/// The first line of every test that starts processes.
///
/// # Panics
/// Never, unless the list is poisoned.
pub fn test(name: &'static str) -> Test {
    UNDER_WAY.lock().expect("not poisoned").push(name);
    Test(name)
}

impl Drop for Test {
    fn drop(&mut self) {
        if let Ok(mut all) = UNDER_WAY.lock()
            && let Some(at) = all.iter().position(|name| *name == self.0)
        {
            all.swap_remove(at);
        }
    }
}

/// Waits until no test is under way.
///
/// # Panics
/// If one still is after `limit`.
pub fn wait_for_all(limit: Duration) {
    let begin = std::time::Instant::now();
    // A test that was started a moment ago may not have said so yet.
    sleep(Duration::from_millis(500));
    loop {
        let all = UNDER_WAY.lock().expect("not poisoned").clone();
        if all.is_empty() {
            return;
        }
        assert!(begin.elapsed() < limit, "still under way: {all:?}");
        sleep(Duration::from_millis(50));
    }
}

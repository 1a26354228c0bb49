//! When the enclave's pool of standbys is full, as the enclave itself reports it in its log.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// A standby is warm long before this.
const LIMIT: Duration = Duration::from_secs(30);

/// Follows the log.
pub(super) struct Pool {
    log: PathBuf,
    read: u64,
}

impl Pool {
    /// From the log's beginning.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            log: dir.join("enclave.log"),
            read: 0,
        }
    }

    /// Forgets what was reported so far: what counts comes from now on.
    pub(super) fn mark(&mut self) -> Result<()> {
        self.read = File::open(&self.log)?.metadata()?.len();
        Ok(())
    }

    /// Waits for a report that the pool is full.
    pub(super) fn full(&mut self) -> Result<()> {
        let begin = Instant::now();
        let file = File::open(&self.log)?;
        let mut text = Vec::new();
        loop {
            let mut piece = [0; 8192];
            let got = file.read_at(&mut piece, self.read)?;
            self.read += got as u64;
            text.extend(&piece[..got]);
            // Only whole lines say something.
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                if is_full(&String::from_utf8_lossy(&line)) {
                    return Ok(());
                }
            }
            ensure!(
                begin.elapsed() < LIMIT,
                "the enclave does not report a full pool"
            );
            if got == 0 {
                sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Whether a log line says that as many standbys are ready as are wanted.
fn is_full(line: &str) -> bool {
    let number = |name: &str| -> Option<u64> {
        let at = line.find(&format!("{name}="))? + name.len() + 1;
        let digits: String = line[at..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    };
    line.contains("standby ready")
        && number("ready").is_some()
        && number("ready") == number("wanted")
}

#[cfg(test)]
mod tests {
    use super::is_full;

    #[test]
    fn only_a_full_pool_counts() {
        assert!(is_full("INFO pool: standby ready ready=2 wanted=2"));
        assert!(!is_full("INFO pool: standby ready ready=1 wanted=2"));
        assert!(!is_full("INFO pool: standby ready"));
        assert!(!is_full("ready=2 wanted=2"));
    }
}

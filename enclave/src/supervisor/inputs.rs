//! Provider `local-fake`: one directory, whose files are opened beneath it or not at all.

use std::os::fd::{AsFd as _, OwnedFd};

use duckblind_protocol::job_code::{JobCode, JobError};
use duckblind_protocol::order::{OrderFile, OrderInput};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

/// Opens every file of every input, read-only, in the order's order.
pub fn open_all(root: &OwnedFd, inputs: &[OrderInput]) -> Result<Vec<OwnedFd>, JobError> {
    let files = inputs
        .iter()
        .flat_map(|input| input.files.iter().map(move |file| (input, file)));
    files.map(|(input, file)| open(root, input, file)).collect()
}

fn open(root: &OwnedFd, input: &OrderInput, file: &OrderFile) -> Result<OwnedFd, JobError> {
    let path = format!("{}/{}", input.location, file.path);
    let missing = |why: &str| {
        JobError::new(
            JobCode::InputMissing,
            format!("input {}: cannot open {path}: {why}", input.name),
        )
    };
    let plain = |part: &str| {
        !part.is_empty()
            && !part.contains('\0')
            && part.split('/').all(|name| !matches!(name, "" | "." | ".."))
    };
    if !plain(&input.location) || !plain(&file.path) {
        return Err(missing("not a plain relative path"));
    }
    let opened = openat2(
        root.as_fd(),
        path.as_str(),
        // Not waiting for the other end of a FIFO that somebody has put there.
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    );
    let opened = opened.map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => missing("no such file"),
        Errno::LOOP => missing("a symbolic link on the way"),
        Errno::XDEV => missing("outside of the storage directory"),
        Errno::ACCESS | Errno::PERM => missing("not readable for the enclave"),
        other => missing(&other.to_string()),
    })?;
    let stat = fstat(&opened).map_err(|error| missing(&error.to_string()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(missing("not a regular file"));
    }
    if u64::try_from(stat.st_size) != Ok(file.size) {
        return Err(JobError::new(
            JobCode::InputSize,
            format!(
                "input {}: {path} has another size than its manifest says",
                input.name
            ),
        )
        .expected_got(
            format!("{} bytes", file.size),
            format!("{} bytes", stat.st_size),
        ));
    }
    Ok(opened)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use duckblind_protocol::ids::Digest;
    use duckblind_protocol::order::Provider;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn input(location: &str, path: &str, size: u64) -> OrderInput {
        OrderInput {
            name: "t".into(),
            provider: Provider::LocalFake,
            location: location.into(),
            manifest: Digest::of(b""),
            snapshot: 1,
            files: vec![OrderFile {
                path: path.into(),
                size,
            }],
        }
    }

    #[test]
    fn only_regular_files_beneath_of_the_right_size() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("t/sub")).unwrap();
        fs::write(root.join("t/a"), b"123").unwrap();
        fs::write(dir.path().join("secret"), b"123").unwrap();
        symlink("a", root.join("t/link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("t", root.join("linked")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("t/fifo"),
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let fd: OwnedFd = fs::File::open(&root).unwrap().into();
        let code = |location: &str, path: &str, size| {
            open_all(&fd, &[input(location, path, size)])
                .map(|files| files.len())
                .map_err(|error| error.code)
        };
        assert_eq!(code("t", "a", 3), Ok(1));
        assert_eq!(code("t", "a", 4), Err(JobCode::InputSize));
        for (location, path) in [
            ("t", "b"),
            ("t", "link"),
            ("t", "sub"),
            ("t", "fifo"),
            ("linked", "a"),
            ("t", "../../secret"),
            ("..", "secret"),
            ("/etc", "passwd"),
            ("t", "/etc/passwd"),
            ("", "out"),
            ("t", ""),
            (".", "t/a"),
            ("t", "a\0"),
            ("t/a", "a"),
        ] {
            assert_eq!(
                code(location, path, 3),
                Err(JobCode::InputMissing),
                "{location} {path}"
            );
        }
    }

    #[test]
    fn what_is_opened_cannot_be_written() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("t")).unwrap();
        fs::write(dir.path().join("t/a"), b"x").unwrap();
        let fd: OwnedFd = fs::File::open(dir.path()).unwrap().into();
        let files = open_all(&fd, &[input("t", "a", 1)]).unwrap();
        let mut file = fs::File::from(files.into_iter().next().unwrap());
        assert!(file.write_all(b"y").is_err());
    }
}

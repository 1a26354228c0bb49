//! Verifier, enclave and host as real processes on loopback, with a requester's home beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::binaries::{program, run_root};
use crate::cache;
use crate::command::{self, Ran, Running};
use crate::http;
use crate::options::{Options, section};
use crate::process::Daemon;
use crate::relay::Relay;
use crate::rows::Answer;

/// A query over `numbers` that takes hours and little memory.
pub const ENDLESS: &str =
    "select sum(a.n * b.n * c.n % 7) as s from numbers a, numbers b, numbers c, numbers d";

/// How long a node may take to be attested after its host has started.
const ATTESTED: Duration = Duration::from_secs(30);

/// What trust files name until the verifier has a port.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A running system. Everything ends and is removed when it is dropped.
pub struct Stack {
    /// The malicious relay, if asked for.
    pub relay: Option<Relay>,
    /// The host agent.
    pub host: Daemon,
    /// The enclave's supervisor.
    pub enclave: Daemon,
    /// The verifier.
    pub verifier: Daemon,
    /// Base URL of the verifier.
    pub verifier_url: String,
    /// The host's node id.
    pub node: String,
    options: Options,
    dir: TempDir,
}

impl Stack {
    /// Starts everything and waits until the node is attested.
    ///
    /// # Panics
    /// If something does not come up, with its log.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        match Self::try_start(options) {
            Ok(stack) => stack,
            Err(error) => panic!("the stack does not start: {error:?}"),
        }
    }

    fn try_start(options: Options) -> Result<Self> {
        let name = options.canary.clone().unwrap_or_else(|| "s".to_owned());
        let dir = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .rand_bytes(6)
            .tempdir_in(run_root())?;
        let root = dir.path();
        for folder in ["home", "lake", "enclave", "host", "verifier"] {
            fs::create_dir(root.join(folder))?;
        }
        let enclave_program = enclave_program(&options);
        let trusted_program = options
            .trusted_program
            .clone()
            .unwrap_or(enclave_program.clone());
        release_manifest(&enclave_program, &root.join("release.json"))?;
        if trusted_program != enclave_program {
            release_manifest(&trusted_program, &root.join("trusted-release.json"))?;
        }

        let ear = root.join("verifier");
        must(command::run(
            with(
                &program("duckblind-verifier"),
                root,
                &["keys", "new", "--out", path(&ear)],
            ),
            b"",
        ))?;
        must(command::run(
            with(
                &program("duckblind-verifier"),
                root,
                &["token", "new", "--out", path(&root.join("token"))],
            ),
            b"",
        ))?;
        must(command::run(
            with(
                &program("duckblind-host"),
                root,
                &["keys", "new", "--out", path(&root.join("host"))],
            ),
            b"",
        ))?;
        trust_init(root, "policy", &enclave_program, "release.json")?;
        let requester_release = if trusted_program == enclave_program {
            "release.json"
        } else {
            "trusted-release.json"
        };
        trust_init(root, "trust", &trusted_program, requester_release)?;

        let verifier_config = format!(
            "listen = \"127.0.0.1:0\"\nstate = \"state.sqlite\"\near_key = \"ear.key\"\n\
             policies = [{:?}]\near_lifetime_ms = {}\n[enrol]\ntoken_file = {:?}\n",
            root.join("policy/policy.toml"),
            options.ear_lifetime_ms,
            root.join("token"),
        );
        fs::write(root.join("verifier/verifier.toml"), verifier_config)?;
        let (verifier, verifier_url) = start_verifier(root)?;
        // Trust files are written before there is a port; the address is no secret and no root of trust.
        for trust in ["policy", "trust"] {
            replace(&root.join(trust).join("trust.toml"), NOWHERE, &verifier_url)?;
        }

        let enclave = start_enclave(root, &options, &enclave_program)?;
        let relay = if options.relay {
            Some(Relay::start(
                &root.join("relay.sock"),
                &root.join("enclave.sock"),
            )?)
        } else {
            None
        };
        let (host, node) = start_host(root, &options, &verifier_url)?;
        let stack = Self {
            relay,
            host,
            enclave,
            verifier,
            verifier_url,
            node,
            options,
            dir,
        };
        stack.wait_attested()?;
        Ok(stack)
    }

    /// The folder of everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder that provider `local-fake` serves.
    pub fn lake(&self) -> PathBuf {
        self.dir().join("lake")
    }

    /// The requester's trust file.
    pub fn trust(&self) -> PathBuf {
        self.dir().join("trust/trust.toml")
    }

    /// The requester's key file.
    pub fn key_file(&self) -> PathBuf {
        self.dir().join("home/config/duckblind/keys.json")
    }

    /// The owner key, which signs manifests.
    pub fn owner_key(&self) -> PathBuf {
        self.dir().join("home/config/duckblind/owner.key")
    }

    /// The enclave's own socket, past host and relay.
    pub fn enclave_socket(&self) -> PathBuf {
        self.dir().join("enclave.sock")
    }

    /// The private key that signs attestation results.
    pub fn ear_key(&self) -> PathBuf {
        self.dir().join("verifier/ear.key")
    }

    /// `duckblind` with these arguments, in the requester's home.
    pub fn duckblind(&self, arguments: &[&str]) -> Command {
        self.with_home(&program("duckblind"), arguments)
    }

    /// Another program in the requester's home.
    pub fn with_home(&self, program: &Path, arguments: &[&str]) -> Command {
        with(program, self.dir(), arguments)
    }

    /// Runs `duckblind` to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        command::run(self.duckblind(arguments), b"")
    }

    /// Makes table and owner key of `table`.
    #[track_caller]
    pub fn new_key(&self, table: &str) {
        self.cli(&["keys", "new", table]).ok();
    }

    /// Seals files into the lake as `table`.
    #[track_caller]
    pub fn seal(&self, table: &str, files: &[&Path]) -> PathBuf {
        let out = self.lake().join(table);
        let mut arguments = vec!["seal"];
        arguments.extend(files.iter().map(|file| path(file)));
        arguments.extend(["--table", table, "--out", path(&out)]);
        self.cli(&arguments).ok();
        out
    }

    /// Makes a key for a table of this CSV text and seals it.
    #[track_caller]
    pub fn seal_csv(&self, table: &str, csv: &str) -> PathBuf {
        let file = self.dir().join(format!("{table}.csv"));
        fs::write(&file, csv).expect("write a CSV file");
        self.new_key(table);
        let out = self.seal(table, &[&file]);
        fs::remove_file(&file).expect("remove a CSV file");
        out
    }

    /// Seals table `numbers`: column `n`, 0 to 999. Joined with itself it keeps any machine busy.
    #[track_caller]
    pub fn seal_numbers(&self) {
        let rows: String = (0..1000).map(|n| format!("{n}\n")).collect();
        self.seal_csv("numbers", &format!("n\n{rows}"));
    }

    /// Arguments of `duckblind run` over tables of the lake.
    pub fn run_arguments(&self, sql: &str, tables: &[&str]) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), sql.to_owned()];
        arguments.extend(["--trust".to_owned(), path(&self.trust()).to_owned()]);
        for table in tables {
            let location = self.lake().join(table);
            arguments.extend(["--table".to_owned(), format!("{table}={}", path(&location))]);
        }
        arguments
    }

    /// Runs a query with further arguments.
    pub fn query(&self, sql: &str, tables: &[&str], more: &[&str]) -> Ran {
        self.start_query(sql, tables, more).finish()
    }

    /// Starts a query with further arguments.
    pub fn start_query(&self, sql: &str, tables: &[&str], more: &[&str]) -> Running {
        let arguments = self.run_arguments(sql, tables);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        command::start(self.duckblind(&arguments), b"")
    }

    /// The typed answer to a query.
    pub fn answer(&self, sql: &str, tables: &[&str]) -> Result<Answer> {
        let ran = self.query(sql, tables, &["--format", "arrow"]);
        ensure!(ran.code == 0, "exit code {}:\n{}", ran.code, ran.stderr);
        arrow_answer(&ran.stdout)
    }

    /// `select 1` must work: the system is well.
    #[track_caller]
    pub fn must_work(&mut self) {
        let answer = self.answer("select 41 + 1 as a", &[]);
        let answer = answer.unwrap_or_else(|error| {
            panic!(
                "the system does not work: {error:?}\nhost:\n{}\nenclave:\n{}",
                self.host.logged(),
                self.enclave.logged()
            )
        });
        assert_eq!(answer.single().expect("one value").to_string(), "42");
        assert!(self.host.is_running(), "the host has ended");
        assert!(self.enclave.is_running(), "the enclave has ended");
    }

    /// As [`Self::must_work`], but a node that has to be attested again gets the time for it.
    #[track_caller]
    pub fn must_work_soon(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < ATTESTED && self.answer("select 1 as a", &[]).is_err() {
            sleep(Duration::from_millis(200));
        }
        assert!(
            begin.elapsed() < ATTESTED,
            "the node does not recover\nhost:\n{}\nenclave:\n{}",
            self.host.logged(),
            self.enclave.logged()
        );
        assert!(self.host.is_running(), "the host has ended");
        assert!(self.enclave.is_running(), "the enclave has ended");
    }

    /// Ends the enclave with a signal and starts a new one at the same place.
    pub fn restart_enclave(&mut self, signal: Signal) -> Result<()> {
        self.enclave.signal(signal)?;
        self.enclave.wait(Duration::from_secs(20))?;
        let program = enclave_program(&self.options);
        self.enclave = start_enclave(self.dir.path(), &self.options, &program)?;
        Ok(())
    }

    /// Waits until the verifier lists the node as attested.
    pub fn wait_attested(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let nodes = http::get(&format!("{}/v1/nodes", self.verifier_url))
                .and_then(|body| Ok(serde_json::from_slice::<serde_json::Value>(&body)?));
            let attested = nodes.as_ref().is_ok_and(|nodes| {
                nodes["nodes"].as_array().is_some_and(|nodes| {
                    nodes.iter().any(|node| {
                        node["id"] == self.node.as_str()
                            && matches!(node["verdict"].as_str(), Some("affirming" | "warning"))
                            && node["attested_until"].is_number()
                    })
                })
            });
            if attested {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < ATTESTED,
                "the node is not attested: {nodes:?}\nverifier:\n{}\nhost:\n{}\nenclave:\n{}",
                self.verifier.logged(),
                self.host.logged(),
                self.enclave.logged()
            );
            sleep(Duration::from_millis(20));
        }
    }
}

/// Reads the Arrow file or stream that `--format arrow` writes.
pub fn arrow_answer(bytes: &[u8]) -> Result<Answer> {
    let batches = if bytes.starts_with(b"ARROW1") {
        arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None)?
            .collect::<Result<Vec<_>, _>>()?
    } else {
        arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(bytes), None)?
            .collect::<Result<Vec<_>, _>>()?
    };
    Answer::from_batches(&batches)
}

fn enclave_program(options: &Options) -> PathBuf {
    options
        .enclave_program
        .clone()
        .unwrap_or_else(|| program("duckblind-enclave"))
}

fn with(program: &Path, root: &Path, arguments: &[&str]) -> Command {
    let mut command = command::command(program, &root.join("home"));
    command.args(arguments).current_dir(root);
    command
}

fn daemon(program: &Path, root: &Path, arguments: &[&str]) -> Command {
    let mut command = command::daemon(program, &root.join("home"));
    command.args(arguments).current_dir(root);
    command
}

fn must(ran: Ran) -> Result<Ran> {
    ensure!(
        ran.code == 0,
        "exit code {}:\n{}{}",
        ran.code,
        ran.text(),
        ran.stderr
    );
    Ok(ran)
}

/// A path as text.
///
/// # Panics
/// If it is not UTF-8; ours are.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

fn replace(file: &Path, old: &str, new: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    ensure!(text.contains(old), "{} does not name {old}", file.display());
    fs::write(file, text.replace(old, new))?;
    Ok(())
}

/// The manifest of a program, by the script that makes it for people, too; once per program.
pub fn release_manifest(program: &Path, out: &Path) -> Result<()> {
    static MADE: Mutex<Vec<(PathBuf, Vec<u8>)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().expect("not poisoned");
    if let Some((_, bytes)) = made.iter().find(|(path, _)| path == program) {
        fs::write(out, bytes)?;
        return Ok(());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/release-manifest");
    let output = Command::new(script).arg(program).arg(out).output()?;
    ensure!(
        output.status.success(),
        "release-manifest: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    made.push((program.to_owned(), fs::read(out)?));
    Ok(())
}

/// Runs `trust init` over the simulated platform of this machine, which the first call makes.
fn trust_init(root: &Path, out: &str, program_: &Path, release: &str) -> Result<()> {
    static ONE_AT_A_TIME: OnceLock<Mutex<()>> = OnceLock::new();
    let _guard = ONE_AT_A_TIME
        .get_or_init(Mutex::default)
        .lock()
        .expect("not poisoned");
    let arguments = [
        "trust",
        "init",
        "--simulator",
        path(&platform()?),
        "--enclave-binary",
        path(program_),
        "--release",
        path(&root.join(release)),
        "--ear-signer",
        path(&root.join("verifier/ear.pub")),
        "--verifier",
        NOWHERE,
        "--out",
        path(&root.join(out)),
    ]
    .map(ToOwned::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    must(command::run(
        with(&program("duckblind"), root, &arguments),
        b"",
    ))
    .map(drop)
}

/// The simulated platform of this machine: RSA keys are slow to make, so it is kept.
pub fn platform() -> Result<PathBuf> {
    let dir = cache::folder("tests")?;
    Ok(dir.join("simulator"))
}

fn start_verifier(root: &Path) -> Result<(Daemon, String)> {
    let ready = root.join("verifier/ready.json");
    let _ = fs::remove_file(&ready);
    let command = daemon(
        &program("duckblind-verifier"),
        root,
        &[
            "serve",
            "--config",
            path(&root.join("verifier/verifier.toml")),
            "--ready-file",
            path(&ready),
        ],
    );
    let mut daemon = Daemon::spawn("verifier", command, root)?;
    let up = daemon.ready(&ready)?;
    let url = up["http"].as_str().context("no http in the ready file")?;
    Ok((daemon, url.to_owned()))
}

fn start_enclave(root: &Path, options: &Options, program: &Path) -> Result<Daemon> {
    let config = format!(
        "listen = \"unix:{}\"\nrelease = {:?}\nrequesters = \"any\"\n[simulator]\ndir = {:?}\nplatform = {:?}\n\
         [storage]\nprovider = \"local-fake\"\nroot = {:?}\n{}{}",
        path(&root.join("enclave.sock")),
        root.join("release.json"),
        platform()?,
        options.platform,
        root.join("lake"),
        section("limits", &options.limits),
        section("timeouts", &options.timeouts),
    );
    fs::write(root.join("enclave/enclave.toml"), config)?;
    let ready = root.join("enclave/ready.json");
    let _ = fs::remove_file(&ready);
    let command = daemon(
        program,
        root,
        &[
            "run",
            "--config",
            path(&root.join("enclave/enclave.toml")),
            "--ready-file",
            path(&ready),
        ],
    );
    let mut daemon = Daemon::spawn("enclave", command, root)?;
    daemon.ready(&ready)?;
    Ok(daemon)
}

fn start_host(root: &Path, options: &Options, verifier: &str) -> Result<(Daemon, String)> {
    let socket = if options.relay {
        "relay.sock"
    } else {
        "enclave.sock"
    };
    let config = format!(
        "listen = \"127.0.0.1:0\"\nenclave = \"unix:{}\"\nverifier = {verifier:?}\nnode_key = {:?}\n\
         class = \"l2\"\near_signer = {:?}\nenrol_token_file = {:?}\npeers = \"open\"\n\
         metrics = \"127.0.0.1:0\"\nusage_log = {:?}\n{}{}",
        path(&root.join(socket)),
        root.join("host/node.key"),
        root.join("verifier/ear.pub"),
        root.join("token"),
        root.join("host/usage.log"),
        section("limits", &options.host_limits),
        section("timeouts", &options.host_timeouts),
    );
    fs::write(root.join("host/host.toml"), config)?;
    let ready = root.join("host/ready.json");
    let _ = fs::remove_file(&ready);
    let command = daemon(
        &program("duckblind-host"),
        root,
        &[
            "run",
            "--config",
            path(&root.join("host/host.toml")),
            "--ready-file",
            path(&ready),
        ],
    );
    let mut daemon = Daemon::spawn("host", command, root)?;
    let up = daemon.ready(&ready)?;
    let node = up["node"].as_str().context("no node in the ready file")?;
    Ok((daemon, node.to_owned()))
}

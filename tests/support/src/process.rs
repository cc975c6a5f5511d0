//! The built program as a process, and where the build put things.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of a test takes so long; one that does hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// The folder of this build: `target/release`.
fn built() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    // A test lies in `deps` there.
    exe.ancestors().nth(2).unwrap().to_owned()
}

/// The program.
pub fn kilofold() -> PathBuf {
    let path = built().join("kilofold");
    assert!(path.is_file(), "{} is not built: run `cargo xtask test`", path.display());
    path
}

/// A plugin that the host's build script built, by its file name: `kilofold_evil.wasm`.
pub fn plugin(file: &str) -> PathBuf {
    let path = built().parent().unwrap().join("plugins/wasm32-wasip2/plugin").join(file);
    assert!(path.is_file(), "{} is not built: run `cargo xtask test`", path.display());
    path
}

/// Where tests leave compiled plugins for each other.
pub(crate) fn shared_code() -> PathBuf {
    built().join("e2e-compiled")
}

/// A free port below those that the system gives out, so that nobody gets it by chance before it is used.
pub fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 600).unwrap() * 32;
    loop {
        let port = 10_240 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub struct Output {
    /// Its status.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// The exit code.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output as JSON; the command must have ended well.
    pub fn json(&self) -> Value {
        assert!(self.status.success(), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A running `kilofold`. It is killed when this is dropped.
pub struct Child {
    child: std::process::Child,
    errors: PathBuf,
}

impl Child {
    /// Starts `kilofold ARGUMENTS` with this configuration. Standard error goes to a file, so that it never blocks.
    pub fn start(config: &Path, arguments: &[&str]) -> Self {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let errors = config.with_file_name(format!("errors-{number}"));
        let mut command = Command::new(kilofold());
        command.args(arguments).arg("--config").arg(config);
        command.env_remove("KILOFOLD_LOG").env_remove("KILOFOLD_CONFIG");
        let file = std::fs::File::create(&errors).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        Self { child, errors }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL. True when it hit a living process.
    pub fn kill(mut self) -> bool {
        let alive = self.alive();
        drop(self.child.kill());
        let status = self.child.wait().unwrap();
        alive && status.code().is_none()
    }

    /// SIGTERM, as a service manager stops a host.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// SIGINT, as Ctrl-C sends it.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end beside everything else.
    pub async fn ended(self) -> Output {
        tokio::task::spawn_blocking(move || self.wait()).await.unwrap()
    }

    /// Stops a host as a service manager does.
    pub async fn stop(self) -> Output {
        self.terminate();
        self.ended().await
    }

    /// Waits for its end. Blocks.
    pub fn wait(mut self) -> Output {
        let mut stdout = self.child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut out = String::new();
            stdout.read_to_string(&mut out).map(|_| out)
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LONGEST, "it hangs: {}", self.errors());
            std::thread::sleep(Duration::from_millis(5));
        };
        let out = reader.join().unwrap().unwrap();
        Output { status, out, err: self.errors() }
    }

    /// Waits until a line of standard error has `text`; gives that line. Blocks.
    pub fn says(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let alive = self.alive();
            let errors = self.errors();
            // A last line may be written only in part.
            if let Some(line) = errors.split_inclusive('\n').find(|line| line.contains(text))
                && line.ends_with('\n')
            {
                return line.trim().to_owned();
            }
            assert!(alive && begun.elapsed() < LONGEST, "it never said {text:?}: {errors}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

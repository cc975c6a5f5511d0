//! The child process that compiles a plugin: both ends of it. The parent hands it an order and the component, and takes the
//! code; at the deadline it kills it. The child bounds its own memory before it looks at the component.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::config;
use super::limits::Limits;

/// The hidden command of the program that is the child.
pub const COMMAND: &str = "compile-plugin";

/// What the program needs for itself besides what the compiler may take, in bytes.
const OWN: u64 = 64 << 20;
/// Code is never this big, in bytes.
const MOST: u64 = 1 << 30;
/// The compiler's words are no longer, in bytes.
const WORDS: u64 = 16 << 10;

/// What is to be compiled for: code fits an engine of the same settings only.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) metered: bool,
    pub(super) limits: Limits,
}

/// Why there is no code.
#[derive(Debug)]
pub(super) enum Stop {
    /// The compiler does not take the component, and says why.
    Refused(String),
    /// It took too long and was killed.
    Late,
    /// It wanted more memory than it may have.
    Memory,
    /// The child could not be started or died of something else.
    Broke(String),
}

/// Kills the child when the parent gives up on it.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Compiles in a child, which is dead when this returns. Blocks for at most the time that the order gives.
pub(super) fn compile(program: &Path, order: &Order, component: &[u8]) -> Result<Vec<u8>, Stop> {
    let broke = |error: std::io::Error| Stop::Broke(format!("its process: {error}"));
    let mut head = serde_json::to_vec(order).map_err(|error| broke(error.into()))?;
    head.push(b'\n');
    // It needs nothing of the environment, in which there may be secrets.
    let spawned = Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Held(spawned.map_err(broke)?);
    let pipes = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(Stop::Broke("its process has no pipes".to_owned()));
    };
    std::thread::scope(|scope| {
        // The child may end before it has read all; what it says then tells more than a broken pipe.
        scope.spawn(move || {
            drop(stdin.write_all(&head).and_then(|()| stdin.write_all(component)));
        });
        let words = scope.spawn(move || read(stderr, WORDS));
        let (done, came) = mpsc::sync_channel(1);
        scope.spawn(move || drop(done.send(read(stdout, MOST))));
        let code = came.recv_timeout(Duration::from_millis(order.limits.compile_ms));
        if code.is_err() {
            // Its pipes end with it, and so do the threads that hold them.
            drop(child.0.kill());
        }
        let ended = child.0.wait().map_err(broke)?;
        let words = String::from_utf8_lossy(&words.join().unwrap_or_default()).into_owned();
        match code {
            Err(_) => Err(Stop::Late),
            Ok(code) if ended.success() => Ok(code),
            Ok(_) if out_of_memory(&words) => Err(Stop::Memory),
            Ok(_) if ended.code() == Some(REFUSED) => Err(Stop::Refused(words)),
            Ok(_) => Err(Stop::Broke(format!("the compiler broke off ({ended}): {words}"))),
        }
    })
}

fn read(mut from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What comes before an error is what there is: the child's ending tells whether it is all.
    drop(from.by_ref().take(most).read_to_end(&mut bytes));
    drop(std::io::copy(&mut from, &mut std::io::sink()));
    bytes
}

/// Whether the last words of a child tell that it got no more memory: Rust's own, or the system's.
fn out_of_memory(words: &str) -> bool {
    words.contains("memory allocation of") || words.contains("Cannot allocate memory")
}

/// How the child ends when the compiler does not take the component.
const REFUSED: i32 = 1;

/// The child's end: reads an order and a component, and writes the code. The error is what the compiler says.
pub fn compile_child(mut input: impl Read, mut output: impl Write) -> Result<(), String> {
    let io = |error: std::io::Error| format!("the parent's pipe: {error}");
    let mut all = Vec::new();
    input.read_to_end(&mut all).map_err(io)?;
    let end = all.iter().position(|byte| *byte == b'\n').ok_or("there is no order")?;
    let (order, component) = (&all[..end], &all[end + 1..]);
    let order: Order = serde_json::from_slice(order).map_err(|error| error.to_string())?;
    bound(order.limits.compile_bytes.saturating_add(OWN))?;
    let mut config = config(&order.limits, false);
    config.consume_fuel(order.metered);
    let engine = wasmtime::Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(component).map_err(|error| format!("{error:#}"))?;
    output.write_all(&code).and_then(|()| output.flush()).map_err(io)
}

/// Bounds the memory that this process can write to, and ends it with its parent.
#[cfg(target_os = "linux")]
fn bound(bytes: u64) -> Result<(), String> {
    let failed = |what: &str| format!("{what}: {}", std::io::Error::last_os_error());
    let most = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // Not the address space: compilers reserve much of it and use little.
    // SAFETY: it reads a value that lives on this stack, and changes a limit of this process alone.
    if unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const most) } != 0 {
        return Err(failed("no bound on memory"));
    }
    // SAFETY: it takes two numbers and changes what happens to this process alone.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(failed("no end with the parent"));
    }
    Ok(())
}

/// Other systems have no such bound that holds; the deadline holds everywhere.
#[cfg(not(target_os = "linux"))]
fn bound(_bytes: u64) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_says_what_is_wrong() {
        let mut code = Vec::new();
        assert_eq!(compile_child(&b"{}"[..], &mut code).unwrap_err(), "there is no order");
        let wrong = compile_child(&b"{}\nabc"[..], &mut code).unwrap_err();
        assert!(wrong.contains("missing field `metered`"), "{wrong}");
        assert!(code.is_empty());
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let order = Order { metered: false, limits: Limits::default() };
        let stop = compile(Path::new("/no/such/program"), &order, b"").unwrap_err();
        assert!(matches!(&stop, Stop::Broke(why) if why.contains("No such file")), "{stop:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_that_does_not_end_is_killed() {
        let limits = Limits { compile_ms: 50, ..Limits::default() };
        let order = Order { metered: false, limits };
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("endless");
        std::fs::write(&program, "#!/bin/sh\necho $$ > \"$0.pid\"\nexec sleep 1000\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let stop = compile(&program, &order, &vec![0; 1 << 20]).unwrap_err();
        assert!(matches!(stop, Stop::Late), "{stop:?}");
        // It may have been killed before it told its number.
        if let Ok(pid) = std::fs::read_to_string(folder.path().join("endless.pid"))
            && !pid.trim().is_empty()
        {
            assert!(!Path::new("/proc").join(pid.trim()).exists());
        }
    }
}

//! A child process, with what it took.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Result;

/// What one program took to pull all records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Records that it says it pulled.
    pub records: usize,
    /// Seconds that it says it pulled for, without its own start.
    pub seconds: f64,
    /// Processor seconds of the whole process, its start included.
    pub cpu: f64,
    /// The most memory that it had, in bytes.
    pub peak_bytes: u64,
}

impl Sample {
    /// Whether everything arrived.
    pub fn check(&self, records: usize) -> Result<()> {
        if self.records == records {
            return Ok(());
        }
        Err(format!("{} records arrived of {records}", self.records).into())
    }
}

/// An ended process.
pub struct Ended {
    /// Its standard output.
    pub output: Vec<u8>,
    /// Processor seconds and peak memory; the rest is for the caller to fill in.
    pub sample: Sample,
}

/// Runs a program to its end; standard error goes to `log`, and is told when the program fails.
pub fn run(command: &mut Command, log: &Path) -> Result<Ended> {
    let program = command.get_program().to_string_lossy().into_owned();
    let words = || std::fs::read_to_string(log).unwrap_or_default();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let mut output = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        std::io::copy(&mut out, &mut output)?;
    }
    let (status, sample) = wait(child.id())?;
    if status != 0 {
        let output = String::from_utf8_lossy(&output);
        return Err(format!("{program} ended with {status}:\n{}{output}", words()).into());
    }
    Ok(Ended { output, sample })
}

/// The raw status, and what the process took.
#[cfg(unix)]
fn wait(id: u32) -> Result<(i32, Sample)> {
    let id = libc::pid_t::try_from(id)?;
    let mut status = 0;
    // SAFETY: all zeroes is a value of this plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places live through the call; the process is our child, and nothing else waits for it.
    if unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) } != id {
        return Err(std::io::Error::last_os_error().into());
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let sample = Sample {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_bytes: u64::try_from(usage.ru_maxrss)? * unit,
        ..Sample::default()
    };
    Ok((status, sample))
}

#[cfg(not(unix))]
fn wait(_: u32) -> Result<(i32, Sample)> {
    Err("the processor time of a child is known on Unix only".into())
}

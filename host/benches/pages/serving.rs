//! The program, serving.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kilofold::model::SyncName;

use super::Result;

/// Opening a large store takes no longer.
const START: Duration = Duration::from_secs(60);

/// A host that serves a folder's store. It ends when this is dropped.
pub struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    /// Writes the configuration and starts the host; nothing is ever asked of the org and the
    /// destination that it names.
    pub fn start(folder: &Path, names: &[SyncName]) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut config = format!(
            "[org]\nlogin = \"http://127.0.0.1:9\"\n\n\
             [[connection]]\nname = \"main\"\ngrant = \"code\"\nclient_id = \"app\"\n\n\
             [store]\npath = \"store\"\n\n[web]\nlisten = \"{address}\"\n\n\
             [[deliver]]\nname = \"hook\"\nurl = \"http://127.0.0.1:9/\"\n"
        );
        for name in names {
            config.push_str(&format!(
                "\n[[sync]]\nname = \"{name}\"\nobject = \"Contact\"\nplugin = \"contact-to-person\"\nevery = \"manual\"\n"
            ));
        }
        std::fs::write(folder.join("kilofold.toml"), config)?;
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_kilofold"))
            .current_dir(folder)
            .env_remove("KILOFOLD_CONFIG")
            .env_remove("KILOFOLD_LOG")
            .args(["--config", "kilofold.toml", "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut serving = Self { child, address };
        let begun = Instant::now();
        // The address is bound before the store is open; what is asked meanwhile waits.
        while let Err(error) = serving.get("/healthz") {
            if begun.elapsed() > START || serving.child.try_wait()?.is_some() {
                let log = std::fs::read_to_string(folder.join("log"))?;
                return Err(format!("the host does not answer: {error}\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(serving)
    }

    /// Asks for a path on a new connection; gives the size of the answer. Errors unless it is a page or leads to one.
    pub fn get(&self, path: &str) -> Result<usize> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(START))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let status = answer.get(9..12).unwrap_or_default();
        if status != b"200" && status != b"303" {
            let answer = String::from_utf8_lossy(&answer);
            return Err(format!("{path}: {}", &answer[..answer.len().min(400)]).into());
        }
        Ok(answer.len())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

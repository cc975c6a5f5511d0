//! kilofold itself: `kilofold sync now Contact`, with mapping and a durable commit a batch.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use kilofold::model::{Ending, Run};

use super::child::{self, Sample};
use super::org::Org;
use super::{PAGE, Result};

/// What is selected beside the fields that the plugin reads, so that a record has about 1.2 KB.
const MORE_FIELDS: &[&str] = &["Description", "External_Ref__c"];

/// A configured folder.
pub struct Host {
    folder: PathBuf,
}

/// One run.
pub struct Pull {
    /// What it took.
    pub sample: Sample,
    /// Its first query.
    pub soql: String,
}

impl Host {
    /// Writes the configuration.
    pub fn new(folder: &Path, org: &Org) -> Result<Self> {
        std::fs::create_dir(folder)?;
        std::fs::write(folder.join("client.secret"), &org.about.secret)?;
        // Nothing listens there: the command then does the work itself.
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let config = format!(
            "[org]\nlogin = {:?}\n\n\
             [[connection]]\nname = \"main\"\ngrant = \"client-credentials\"\nclient_id = {:?}\n\
             client_secret = {{ file = \"client.secret\" }}\n\n\
             [store]\npath = \"store\"\n\n[web]\nlisten = \"{web}\"\n\n\
             [[sync]]\nobject = \"Contact\"\nplugin = \"contact-to-person\"\nevery = \"manual\"\n\
             page_size = {PAGE}\nfields = {MORE_FIELDS:?}\n",
            org.about.url, org.about.id,
        );
        std::fs::write(folder.join("kilofold.toml"), config)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn run(&self, arguments: &[&str]) -> Result<child::Ended> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kilofold"));
        command.current_dir(&self.folder).env_remove("KILOFOLD_CONFIG").env_remove("KILOFOLD_LOG");
        command.args(["--config", "kilofold.toml", "--json"]).args(arguments);
        child::run(&mut command, &self.folder.join("log"))
    }

    /// Exports every record to a file of this ending, and gives the most memory that took, in bytes.
    pub fn export(&self, ending: &str, records: usize) -> Result<u64> {
        let file = self.folder.join(format!("export.{ending}"));
        let ended = self.run(&["export", "--raw", "--output", &file.to_string_lossy()])?;
        std::fs::remove_file(file)?;
        let told: serde_json::Value = serde_json::from_slice(&ended.output)?;
        if told["rows"] != records {
            return Err(format!("{} rows were exported of {records}", told["rows"]).into());
        }
        Ok(ended.sample.peak_bytes)
    }

    /// Pulls everything into a fresh store. Compiled code and key are those of the first time.
    pub fn pull(&self) -> Result<Pull> {
        let store = self.folder.join("store");
        if store.exists() {
            std::fs::remove_dir_all(store)?;
        }
        let ended = self.run(&["sync", "now", "Contact"])?;
        let [run]: [Run; 1] = serde_json::from_slice(&ended.output)?;
        if !run.ending.as_ref().is_some_and(Ending::is_success) {
            return Err(format!("the run did not succeed: {:?}", run.ending).into());
        }
        if run.counts.mapped * 2 < run.counts.fetched {
            return Err(format!("too little was mapped: {:?}", run.counts).into());
        }
        let took = run.ended.unwrap_or(run.started).since(run.started);
        let sample = Sample {
            records: usize::try_from(run.counts.fetched)?,
            seconds: took.as_secs_f64(),
            ..ended.sample
        };
        Ok(Pull { sample, soql: run.soql })
    }
}

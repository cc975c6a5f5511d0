//! The pages in a real browser: headless Chromium, driven over WebDriver against the real host and a simulated org.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod world;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::{BrowserLogEntry, LoggingPrefsLogLevel};

pub use world::World;

/// No step of a test takes so long; one that does hangs.
const LONGEST: Duration = Duration::from_secs(30);

/// A browser with a profile of its own. It and its driver end when this is dropped.
pub struct Browser {
    driver: WebDriver,
    service: Child,
    _profile: tempfile::TempDir,
}

/// The first of these programs that is on the path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let find =
        |name: &&str| std::env::split_paths(&paths).map(|at| at.join(name)).find(|at| at.is_file());
    names.iter().find_map(find)
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

impl Browser {
    /// Starts one; none, with the reason printed, where Chromium or its driver is not installed.
    pub async fn start() -> Option<Self> {
        let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
            skipped("no Chromium is installed (Debian: apt-get install chromium chromium-driver)");
            return None;
        };
        let Some(service) = program(&["chromedriver"]) else {
            skipped("no chromedriver is installed (Debian: apt-get install chromium-driver)");
            return None;
        };
        // The client of the driver makes a TLS configuration though it never speaks TLS; a second caller finds it made.
        drop(rustls::crypto::ring::default_provider().install_default());
        let port = support::free_port();
        let service = Command::new(service)
            .arg(format!("--port={port}"))
            // The browser is in the group, so that it ends with it, also when a test has failed.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(chromium.to_str().unwrap()).unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=1360,900",
            &data,
        ] {
            capabilities.add_arg(flag).unwrap();
        }
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let driver = loop {
            match WebDriver::new(&address, capabilities.clone()).await {
                Ok(driver) => break driver,
                // The driver is not up yet.
                Err(error) => assert!(begun.elapsed() < LONGEST, "no browser: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Some(Self { driver, service, _profile: profile })
    }

    /// Opens an address.
    pub async fn open(&self, address: &str) {
        self.driver.goto(address).await.unwrap();
    }

    /// Where the browser is.
    pub async fn address(&self) -> String {
        self.driver.current_url().await.unwrap().to_string()
    }

    /// Runs a script in the page and gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Runs a script that calls its last argument when it is done.
    pub async fn run_async(&self, script: &str) -> Value {
        self.driver.set_script_timeout(LONGEST).await.unwrap();
        self.driver.execute_async(script, Vec::new()).await.unwrap().json().clone()
    }

    /// The text of the element that a CSS selector names; empty when there is none.
    pub async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// How many elements a CSS selector names.
    pub async fn count(&self, selector: &str) -> u64 {
        let script = format!("return document.querySelectorAll({selector:?}).length");
        self.run(&script).await.as_u64().unwrap()
    }

    /// Clicks the first element that a CSS selector names, as a user would.
    pub async fn click(&self, selector: &str) {
        let element = self.driver.find(By::Css(selector)).await;
        let element = element.unwrap_or_else(|error| panic!("nothing is {selector}: {error}"));
        element.scroll_into_view().await.unwrap();
        element.click().await.unwrap();
    }

    /// Clicks the first button or link within `selector` that says this.
    pub async fn press(&self, selector: &str, label: &str) {
        let path = format!(".//*[self::button or self::a][normalize-space()={label:?}]");
        let within = self.driver.find(By::Css(selector)).await.unwrap();
        let element = within.find(By::XPath(path.as_str())).await;
        let element = element.unwrap_or_else(|_| panic!("no button {label:?} in {selector}"));
        element.scroll_into_view().await.unwrap();
        element.click().await.unwrap();
    }

    /// Types into the field that a CSS selector names.
    pub async fn enter(&self, selector: &str, text: &str) {
        let element = self.driver.find(By::Css(selector)).await.unwrap();
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// Sends keys to whatever has the focus.
    pub async fn keys(&self, keys: &str) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Waits until a script returns something true; gives that.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        let begun = Instant::now();
        loop {
            let value = self.run(script).await;
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            if begun.elapsed() > LONGEST {
                panic!("waited in vain until {what}; the page says: {}", self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Waits until the page says this.
    pub async fn says(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({text:?})");
        self.until(&format!("the page says {text:?}"), &script).await;
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.unwrap()
    }

    /// What the system prefers: `dark` or `light`, and whether motion is reduced.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// The size of the page's window, in CSS pixels.
    pub async fn size(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Whether pages may run scripts.
    pub async fn scripts(&self, allowed: bool) {
        let value = json!({ "value": !allowed });
        self.devtools("Emulation.setScriptExecutionDisabled", value).await;
    }

    /// Writes the whole page as a picture.
    pub async fn picture(&self, path: &Path) {
        let size = "const all = document.documentElement;
             return all.clientWidth > 0 && [all.clientWidth, all.scrollHeight]";
        let size = self.until("the page has a size", size).await;
        let shot = json!({
            "format": "png", "captureBeyondViewport": true,
            "clip": { "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 },
        });
        // Chromium refuses now and then while the page is laid out anew.
        let begun = Instant::now();
        let answer = loop {
            match self.driver.cdp().send_raw("Page.captureScreenshot", shot.clone()).await {
                Ok(answer) => break answer,
                Err(error) => assert!(begun.elapsed() < LONGEST, "no picture: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let data = answer["data"].as_str().unwrap();
        let picture = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::write(path, picture).unwrap();
    }

    /// What the console has said since this was last asked for, at the level of an error: scripts that failed, what the
    /// policy blocked, what could not be loaded.
    pub async fn errors(&self) -> Vec<BrowserLogEntry> {
        let said = self.driver.browser_log().await.unwrap();
        said.into_iter().filter(|line| line.level == "SEVERE").collect()
    }

    /// Fails when the console has said an error.
    pub async fn quiet(&self) {
        let errors = self.errors().await;
        assert!(errors.is_empty(), "{errors:#?}");
    }

    /// Ends the browser.
    pub async fn close(self) {
        drop(self.driver.clone().quit().await);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.service.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.service.kill());
        drop(self.service.wait());
    }
}

/// axe-core, the checker of accessibility, as a script; none, with the reason printed, where it is not installed.
pub fn axe() -> Option<String> {
    let built = std::env::current_exe().unwrap();
    // A test lies in `deps` of the profile's folder of the target folder.
    let target = built.ancestors().nth(3).unwrap();
    let path = target.join("axe/node_modules/axe-core/axe.min.js");
    match std::fs::read_to_string(&path) {
        Ok(script) => Some(script),
        Err(_) => {
            skipped("axe-core is not installed (npm install --prefix TARGET/axe axe-core)");
            None
        }
    }
}

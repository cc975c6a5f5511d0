//! The template, the schema, and a folder of files that are wrong: `host/tests/config/*.toml` beside `*.err`.

use std::path::{Path, PathBuf};

use super::*;

const UPDATE: &str = "KILOFOLD_UPDATE";

fn host() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares with a committed file, or rewrites it when asked.
fn agree(path: &Path, text: &str) {
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not up to date; set {UPDATE}=1 to rewrite it, and read what changed:\n{text}",
        path.display()
    );
}

fn render(error: &Error) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, error)
        .unwrap();
    // No trailing blanks, so that editors leave the files alone.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn says_what_is_wrong_and_where() {
    let folder = host().join("tests/config");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 10, "{} has too few cases", folder.display());
    for path in cases {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = Path::new(path.file_name().unwrap());
        let error = Config::parse(&text, name).expect_err(&format!("{} is right", path.display()));
        agree(&path.with_extension("err"), &render(&error));
    }
}

#[test]
fn the_template_is_right() {
    let config = Config::parse(template(), Path::new("/etc/kilofold/kilofold.toml")).unwrap();
    assert_eq!(template().lines().next(), Some("#:schema ./kilofold.schema.json"));
    assert_eq!(config.store.path, Path::new("/etc/kilofold/kilofold.data"));
    assert_eq!(config.syncs.len(), 2);
    assert_eq!(config.syncs[0].name.as_str(), "Contact");
    assert_eq!(config.syncs[0].schedule, When::Every(std::time::Duration::from_secs(900)));
    assert_eq!(config.syncs[1].schedule, When::Every(std::time::Duration::from_secs(3600)));
    assert_eq!(config.quota.allowance, Some(Allowance::Percent(50)));
}

#[test]
fn the_template_stays_right_with_every_line_in_force() {
    // A commented key is an example of what may be written there.
    let text: String = template()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.contains(':') => format!("{rest}\n"),
            Some(rest) if rest.starts_with("url = ") || rest.starts_with("endpoint = ") => {
                format!("{rest}\n")
            }
            Some(rest) if rest.starts_with('[') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let text = text.replace(
        "[[sync]]\nobject = \"Contact\"",
        "[[sync]]\nconnection = \"main\"\nobject = \"Contact\"",
    );
    let text = text.replace("[defaults]", "[defaults]\nconnection = \"main\"");
    if let Err(error) = Config::parse(&text, Path::new("kilofold.toml")) {
        panic!("{}\n{text}", render(&error));
    }
}

#[test]
fn the_schema_is_up_to_date() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    agree(&host().join("kilofold.schema.json"), &schema);
}

#[test]
fn every_key_has_a_text_for_editors() {
    fn walk(value: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
        if let Some(properties) = value.get("properties").and_then(|value| value.as_object()) {
            for (name, property) in properties {
                if property.get("description").is_none() {
                    missing.push(format!("{path}.{name}"));
                }
                walk(property, &format!("{path}.{name}"), missing);
            }
        }
        for (name, definition) in
            value.get("definitions").and_then(|value| value.as_object()).into_iter().flatten()
        {
            walk(definition, name, missing);
        }
    }
    let mut missing = Vec::new();
    walk(&schema(), "", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
    // What the reader refuses, the editor marks.
    assert!(!schema().to_string().contains("\"null\""));
    let sections = schema()["definitions"].as_object().unwrap().len();
    assert!(sections >= 10, "{sections} definitions");
}

#[test]
fn everything_may_be_said() {
    let text = r#"
        [org]
        login = "http://127.0.0.1:9000"
        api_version = "v61.0"
        allowed_hosts = ["proxy.example.com:8443"]
        [[connection]]
        name = "a"
        grant = "jwt"
        client_id = "3MVG9"
        username = "i@example.com"
        private_key = { file = "key.pem" }
        [[connection]]
        name = "b"
        grant = "client-credentials"
        client_id = "3MVG9"
        client_secret = { env = "SECRET" }
        [[connection]]
        name = "c"
        client_id = "3MVG9"
        username = "c@example.com"
        app = "kilofold"
        approvals_elsewhere = 2
        redirect_port = 1717
        [quota]
        allowance = 5000
        reserve = 10
        per_run = 20
        [store]
        path = "/var/kilofold"
        key = { command = ["./key.sh", "kilofold"] }
        keep_raw = false
        cache = "1 GiB"
        [web]
        listen = "0.0.0.0:80"
        token = { env = "TOKEN" }
        [plugins]
        time = "1s"
        memory = "128 MiB"
        [defaults]
        connection = "a"
        every = "1h30m"
        lag = "2m"
        [[sync]]
        object = "Contact"
        fields = ["Name", "Account.Name"]
        where = "Email != null"
        config = { region = "eu", limit = 3, api_token = { env = "API" } }
        [[sync]]
        name = "late"
        object = "Invoice__c"
        connection = ["b", "c"]
        failover = true
        cron = "0 6 * * 1-5"
        time_zone = "UTC"
        plugin = "./my.wasm"
        fields = "all"
        page_size = 200
        keep_raw = true
        enabled = false
        timeout = "1h"
        priority = 5
        [[sync]]
        name = "hand"
        object = "Lead"
        every = "manual"
    "#;
    let config = Config::parse(text, Path::new("conf/kilofold.toml")).unwrap();
    let [contact, late, hand] = config.syncs.as_slice() else { panic!("three syncs") };
    let Grant::Jwt { private_key, .. } = &config.connections[0].grant else { panic!("jwt") };
    assert_eq!(*private_key, Secret::File("conf/key.pem".into()));
    let arguments = vec!["kilofold".to_owned()];
    let asked = Secret::Command { program: "conf/./key.sh".into(), arguments };
    assert_eq!(config.store.key, Some(asked));
    assert_eq!(contact.schedule.to_string(), "every 1h30m");
    assert_eq!(contact.fields, Fields::List(vec!["Name".into(), "Account.Name".into()]));
    assert_eq!(contact.plugin_config["limit"], 3);
    assert_eq!(contact.plugin_secrets["api_token"], Secret::Env("API".into()));
    assert!(!contact.keep_raw && late.keep_raw);
    assert_eq!(late.plugin, PluginRef::File("conf/./my.wasm".into()));
    assert_eq!(late.schedule.to_string(), "cron 0 6 * * 1-5 (UTC)");
    assert_eq!((late.page_size, late.priority, late.enabled), (200, 5, false));
    assert_eq!(hand.schedule, When::Manual);
    let names =
        |sync: &SyncConfig| sync.connections.iter().map(|one| one.to_string()).collect::<Vec<_>>();
    assert_eq!((names(contact), contact.failover), (vec!["a".to_owned()], false));
    assert_eq!((names(late), late.failover), (vec!["b".to_owned(), "c".to_owned()], true));
    let Grant::Code { username, app, approvals_elsewhere, redirect_port, .. } =
        &config.connections[2].grant
    else {
        panic!("code")
    };
    assert_eq!(username.as_deref(), Some("c@example.com"));
    assert_eq!((app.as_deref(), *approvals_elsewhere), (Some("kilofold"), 2));
    assert_eq!(*redirect_port, Some(1717));
    assert_eq!(config.org.allowed_hosts, ["proxy.example.com:8443"]);
    assert_eq!(config.sync(&hand.name), Some(hand));
}

#[test]
fn a_secret_in_the_file_is_shown_to_nobody() {
    let text = "[org]\nlogin = \"nowhere\"\n[[connection]]\nclient_id = \"x\"\n\
                client_secret = \"hunter2hunter2\"\n[web]\ntoken = 'swordfish'\n";
    let whole = Config::parse(text, Path::new("kilofold.toml")).unwrap_err();
    assert!(render(&whole).contains("config.secret-in-file"));
    // A line that is not TOML is shown for what it is, but for the secret in it.
    let text = format!("{text}password = \"opensesame\n[[\n");
    let broken = Config::parse(&text, Path::new("kilofold.toml")).unwrap_err();
    assert_eq!(broken.code(), "config.invalid");
    for error in [whole, broken] {
        let told = format!("{} {error:?} {error}", render(&error));
        for secret in ["hunter2", "swordfish", "opensesame"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

proptest::proptest! {
    // Any text gives a configuration or problems with places in the text; never a panic.
    #[test]
    fn never_panics(lines in proptest::collection::vec(0..LINES.len(), 0..24), noise in ".{0,12}", at in 0_usize..400) {
        let mut text: String = lines.iter().map(|i| format!("{}\n", LINES[*i])).collect();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &noise);
        if let Err(error) = Config::parse(&text, Path::new("kilofold.toml")) {
            let Error::Invalid(invalid) = &error else { panic!("{error}") };
            proptest::prop_assert!(!invalid.problems.is_empty());
            for problem in &invalid.problems {
                if let Some(span) = &problem.span {
                    proptest::prop_assert!(span.start <= span.end && span.end <= text.len());
                }
                proptest::prop_assert!(!problem.what.is_empty() && !problem.cure.is_empty());
            }
            render(&error);
        }
    }
}

const LINES: &[&str] = &[
    "[org]",
    "login = \"production\"",
    "login = 3",
    "[[connection]]",
    "client_id = \"x\"",
    "client_secret = { env = \"A\" }",
    "client_secret = \"é\"",
    "grant = \"jwt\"",
    "[quota]",
    "allowance = \"500%\"",
    "[[sync]]",
    "object = \"Contact\"",
    "every = \"0s\"",
    "cron = \"* *\"",
    "where = 'a = ('",
    "where = \"\"",
    "fields = [\"a b\", 3]",
    "fields = [\"Ä\", \"Ä\"]",
    "config = { a = nan, token = \"x\" }",
    "[web]",
    "listen = \"0.0.0.0:1\"",
    "[defaults]",
    "page_size = 99999999999",
    "evry = 1",
    "[sync]",
    "connection = \"x\"",
    "\"\" = 1",
    "a.b = 2",
];

//! Every table of the command line on a store of long names, wide text and large numbers: no line is wider than 80 columns,
//! in a terminal and without one.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use kilofold::model::{
    ConnectionName, ConsumerName, Counts, Cursor, Ending, RetryNote, Stamp, Trigger,
};
use kilofold::store::{DeadLetter, DeliveryState, NewRun};
use serde_json::Value;
use support::{Child, Setup, TestEnv, kilofold, name, plugin};

/// Names may be this long, and of these characters.
const LONG: &str = "a-sync-whose-name-is-as-long-as-a-name-may-be_0123456789.abcdefg";
const CONNECTION: &str = "a-connection-whose-name-is-as-long-as-a-name-may-be_0123456789.a";
const CONSUMER: &str = "deliver.a-consumer-with-a-name-as-long-as-it-may-be_0123456789.a";

/// Texts that are wider than they are long, or have no place to be cut.
const WIDE: [&str; 6] = [
    "株式会社東京電力ホールディングス代表取締役社長執行役員経営企画本部長",
    "👩‍👩‍👧‍👦👩🏽‍🚀🏳️‍🌈🇩🇪 family, astronaut, flags 👩‍👩‍👧‍👦👩🏽‍🚀🏳️‍🌈🇩🇪👩‍👩‍👧‍👦👩🏽‍🚀🏳️‍🌈🇩🇪",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "مرحبا بالعالم هذا نص طويل جدا لا ينتهي أبدا في سطر واحد من ثمانين عمودا",
    "e\u{301}\u{301}\u{301}a\u{308}o\u{308} combining a\u{308}\u{301}\u{302}\u{303}\u{304} marks",
    "안녕하세요 세계 여러분 반갑습니다 오늘도 좋은 하루 되세요 감사합니다 여러분",
];

/// Ten billion: more than an org has.
const HUGE: u64 = 9_876_543_210;

async fn world() -> TestEnv {
    assert_eq!((LONG.len(), CONNECTION.len(), CONSUMER.len()), (64, 64, 64));
    let echo = plugin("json_echo.wasm");
    let lines = |more: &str| {
        format!("fields = [\"LastName\", \"FirstName\", \"Title\"]\nconnection = \"main\"\n{more}")
    };
    let mut setup = Setup::new(&[("Contact", 60), ("Lead", 5)])
        .sync("Contact", echo.to_str().unwrap(), &lines(&format!("name = \"{LONG}\"")))
        .sync("Lead", "passthrough", "fields = [\"LastName\"]\nconnection = \"main\"");
    setup.quota = "reserve = 100\nallowance = 9000000".to_owned();
    setup.connections.push(support::connection(
        CONNECTION,
        &format!("{}@example.com", "u".repeat(60)),
        "",
    ));
    setup.syncs.push(format!(
        "[[deliver]]\nname = \"{}\"\nurl = \"http://127.0.0.1:9/{}\"",
        CONSUMER.strip_prefix("deliver.").unwrap(),
        "x".repeat(90)
    ));
    let mut env = setup.start().await;
    let ids = env.ids("Contact");
    let now = env.sim.now();
    {
        let org = env.sim.org();
        let mut org = org.write().unwrap();
        for (n, text) in WIDE.iter().enumerate() {
            let mut set = |id: &str, field: &str, value: &str| {
                org.set_field("Contact", id, field, Value::from(value), now).unwrap();
            };
            // As long as the org takes it.
            let text: String = text.chars().take(76).collect();
            set(&ids[n], "LastName", &text);
            set(&ids[n + WIDE.len()], "FirstName", "fail");
            set(&ids[n + WIDE.len()], "LastName", &format!("{text} {n}"));
            set(&ids[n + WIDE.len()], "Title", &text);
        }
    }
    env.later(60);
    env.open().await;
    for sync in [LONG, "Lead"] {
        let run = env.run(sync).await;
        assert!(run.ending.as_ref().is_some_and(Ending::is_success), "{:?}", run.ending);
    }
    // What a few records do not make: large counts, many retries, a delivery in trouble.
    let store = env.store().clone();
    let begun = store.begin_run(NewRun {
        sync: name(LONG),
        object: "Contact".to_owned(),
        connection: ConnectionName::new(CONNECTION).unwrap(),
        trigger: Trigger::Manual,
        started: Stamp::now(),
        cursor_before: Cursor::default(),
        plugin: None,
        quota_before: None,
    });
    let run = begun.unwrap();
    let counts = Counts {
        fetched: HUGE,
        mapped: HUGE,
        unchanged: HUGE,
        skipped: HUGE,
        failed: HUGE,
        deleted: HUGE,
    };
    store
        .update_run(run.id, |run| {
            run.counts = counts;
            run.calls = HUGE;
            run.pages = HUGE;
            run.notes = WIDE.map(str::to_owned).to_vec();
            run.failures.extend(WIDE.map(|text| (text.to_owned(), HUGE)));
            run.retries = WIDE
                .map(|text| RetryNote {
                    at: Stamp(1_795_000_000_000),
                    page: Some(HUGE),
                    reason: text.repeat(2),
                    waited_ms: 86_399_000,
                })
                .to_vec();
        })
        .unwrap();
    let failed = Ending::Failed { code: "org.unreachable".to_owned(), message: WIDE.join(" ") };
    store.end_run(run.id, failed, Stamp::now(), |_| ()).unwrap();
    let consumer = ConsumerName::new(CONSUMER).unwrap();
    store.move_consumer(&consumer, 1, false, Stamp::now()).unwrap().unwrap();
    let state = DeliveryState {
        failing_since: Some(Stamp::now()),
        attempts: u32::MAX,
        code: Some("deliver.unreachable".to_owned()),
        trouble: Some(WIDE.join(" ")),
        next: Some(Stamp::now()),
        delivered: None,
        taken: HUGE,
    };
    let dead: Vec<DeadLetter> = WIDE
        .iter()
        .enumerate()
        .map(|(n, text)| DeadLetter {
            seq: HUGE + n as u64,
            at: Stamp::now(),
            code: Some("deliver.unreachable".to_owned()),
            reason: text.repeat(3),
            change: serde_json::value::to_raw_value(&serde_json::json!({ "body": text })).unwrap(),
        })
        .collect();
    store.set_delivery(&consumer, &state, &dead).unwrap();
    drop(store);
    env.close();
    env
}

fn commands(env: &TestEnv) -> Vec<Vec<String>> {
    let ids = env.ids("Contact");
    let echo = plugin("json_echo.wasm").to_str().unwrap().to_owned();
    let list: Vec<Vec<&str>> = vec![
        vec!["imports"],
        vec!["imports", "--limit", "1"],
        vec!["imports", "--sync", LONG],
        vec!["import", "1", "--pages", "1000"],
        vec!["import", "2"],
        vec!["import", "3"],
        vec!["failures", "1"],
        vec!["failures", "1", "--limit", "2"],
        vec!["records", LONG],
        vec!["records", LONG, "--limit", "2"],
        vec!["records", LONG, "--id", &ids[0]],
        vec!["records", LONG, "--id", &ids[1]],
        vec!["records", LONG, "--id", &ids[WIDE.len()]],
        vec!["records", "Lead", "--limit", "3"],
        vec!["feed"],
        vec!["feed", "--limit", "3"],
        vec!["consumers"],
        vec!["consumers", "--dead", CONSUMER],
        vec!["limits"],
        vec!["connections"],
        vec!["sync", "list"],
        vec!["plugin", "list"],
        vec!["check", "--offline"],
        vec!["check"],
        vec!["plugin", "check", &echo],
        // Nothing changes, everything does, and what is made anew is shown field by field.
        vec!["plugin", "run", &echo, "--sync", LONG],
        vec!["plugin", "run", &echo, "--sync", LONG, "--all"],
        vec!["plugin", "run", "passthrough", "--sync", LONG],
        vec!["plugin", "run", "contact-to-person", "--sync", LONG],
        vec!["plugin", "run", &echo, "--sync", LONG, "--live", "--limit", "200"],
        vec!["plugin", "diff", &echo, "--sync", LONG],
        vec!["plugin", "diff", "passthrough", "--sync", LONG, "--samples", "9"],
        vec!["plugin", "diff", &echo, "passthrough", "--sync", LONG],
        vec!["plugin", "diff", "contact-to-person", "--sync", LONG],
        vec!["explain"],
        vec!["explain", "auth.reconnect"],
        vec!["explain", "limit.daily"],
    ];
    list.into_iter().map(|words| words.into_iter().map(str::to_owned).collect()).collect()
}

/// What a command writes into a terminal of 80 columns; colours and all.
fn in_terminal(env: &TestEnv, words: &[String]) -> String {
    let (mut master, mut slave) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointers are to live values of the types that openpty wants, or null where it takes that for none.
    let opened = unsafe {
        libc::openpty(&mut master, &mut slave, std::ptr::null_mut(), std::ptr::null_mut(), &size)
    };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: openpty just made both, and nobody else owns them.
    let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    let mut child = Command::new(kilofold())
        .args(words)
        .arg("--config")
        .arg(env.config_path())
        .env_remove("KILOFOLD_LOG")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(Stdio::from(slave))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = Vec::new();
    // A terminal ends with an error when its last writer is gone.
    drop(File::from(master).read_to_end(&mut out));
    child.wait().unwrap();
    String::from_utf8(out).unwrap()
}

fn too_wide(how: &str, words: &[String], text: &str, found: &mut Vec<String>) {
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        let width = console::measure_text_width(line);
        if width > 80 {
            found.push(format!("{width} {how} {words:?}: {line}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_wider_than_80_columns() {
    let env = world().await;
    let mut found = Vec::new();
    let mut coloured = 0;
    for words in commands(&env) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let piped = Child::start(&env.config_path(), &arguments).ended().await;
        assert!(!piped.out.is_empty(), "{words:?}: {}", piped.err);
        assert!(!piped.out.contains('\u{1b}'), "{words:?}: {}", piped.out);
        too_wide("piped", &words, &piped.out, &mut found);
        let shown = in_terminal(&env, &words);
        coloured += usize::from(shown.contains("\u{1b}["));
        too_wide("shown", &words, &shown, &mut found);
        // The same words in both, but for what is so long ago.
        let bare = console::strip_ansi_codes(&shown).replace('\r', "");
        assert_eq!(
            bare.lines().count(),
            piped.out.lines().count(),
            "{words:?}\n{bare}\n{}",
            piped.out
        );
    }
    assert!(coloured > 5, "colours are shown in a terminal");
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
}

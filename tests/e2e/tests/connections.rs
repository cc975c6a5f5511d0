//! Connections as users live with them: lost, made again, several to an org, one too many, of another org.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use kilofold::events::Event;
use kilofold::model::{Ending, Run, Trigger};
use kilofold::schedule::State;
use org_sim::{FaultKind, RequestClass, When};
use serde_json::Value;
use support::{Child, Output, Setup, TestEnv, connection, kilofold, name};

const PLAIN: &str = "fields = [\"LastName\", \"Email\", \"LastModifiedDate\"]\npage_size = 200";
const FIRST: &str = "integration@kilofold.example";
const SECOND: &str = "second@kilofold.example";
const FOREIGN: &str = "ada@elsewhere.example";

/// Far longer than anything here takes, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(100);

fn consenting(counts: &[(&str, usize)]) -> Setup {
    let mut setup = Setup::new(counts);
    setup.grant = "code";
    setup.sim.require_pkce = true;
    setup.sim.more_usernames = vec![SECOND.to_owned()];
    setup.sim.foreign_usernames = vec![FOREIGN.to_owned()];
    setup
}

/// `kilofold connect`, and a user who approves at the printed address.
async fn connect(env: &TestEnv, arguments: &[&str]) -> Output {
    let arguments = [&["connect", "--no-browser"], arguments].concat();
    let mut child = Child::start(&env.config_path(), &arguments);
    let (mut child, url) = tokio::task::spawn_blocking(move || {
        let url = child.says("/services/oauth2/authorize?");
        (child, url)
    })
    .await
    .unwrap();
    org_sim::user::visit(&url).await.unwrap();
    assert!(child.alive() || child.errors().contains("error"), "{}", child.errors());
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap()
}

/// Waits for the next run that ends.
async fn next_end(
    events: &mut tokio::sync::broadcast::Receiver<std::sync::Arc<kilofold::events::Told>>,
) -> Ending {
    let ended = async {
        loop {
            if let Event::RunEnded { ending, .. } = &events.recv().await.unwrap().event {
                return ending.clone();
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap()
}

fn lost(ending: &Ending) -> bool {
    matches!(ending, Ending::Paused { code, resumes_at: None, .. } if code == "auth.reconnect")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_pauses_its_syncs_until_it_is_made_again() {
    let lines = format!("{PLAIN}\nevery = \"1s\"");
    let env = consenting(&[("Contact", 2_000)]).sync("Contact", "passthrough", &lines).open().await;
    env.consent("main").await;
    // In the middle of the first run the session ends, and the refresh token with it.
    env.fault_when(
        RequestClass::QueryMore,
        FaultKind::Unauthorized { expire: true },
        When::After { skip: 4, times: 1 },
    );
    env.fault(RequestClass::Token, FaultKind::RevokeToken, 1);
    let mut events = env.app().bus.subscribe();
    let mut changes = env.app().bus.subscribe();
    let schedule = env.app().schedule().await.unwrap();
    let ending = next_end(&mut events).await;
    let Ending::Paused { code, reason, resumes_at: None } = &ending else { panic!("{ending:?}") };
    assert_eq!(code, "auth.reconnect");
    assert!(reason.contains("'main' must be authorised again"), "{reason}");
    let paused = env.last_run("Contact");
    assert!(paused.counts.fetched > 0 && paused.counts.fetched < 2_000);
    // Though it is due every second, nothing is asked and nothing is started.
    let (asked, runs) = (env.sim.requests().len(), env.runs("Contact").len());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!((env.sim.requests().len(), env.runs("Contact").len()), (asked, runs));
    assert_eq!(schedule.status().await.unwrap()[0].state, State::AwaitingConnection);
    assert_eq!(schedule.look().await.unwrap(), None, "no time is known at which it goes on");
    // Made again, it goes on by itself at its cursor.
    env.consent("main").await;
    assert_eq!(next_end(&mut events).await, Ending::Succeeded);
    schedule.stop().await;
    let run = &env.runs("Contact")[runs];
    assert_eq!(run.trigger, Trigger::Resume);
    assert_eq!(run.counts.fetched + paused.counts.fetched, 2_000);
    env.assert_no_committed_page_again("Contact");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
    let mut states = Vec::new();
    while let Ok(told) = changes.try_recv() {
        if let Event::ConnectionChanged { state, .. } = &told.event {
            states.push(state.clone());
        }
    }
    assert_eq!(states, ["reconnect-needed", "healthy"]);
}

/// The same with a host process: seen, and mended, from the command line through its API.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_connects_and_disconnects_in_a_host_that_runs() {
    let lines = format!("{PLAIN}\nevery = \"1h\"");
    let mut env =
        consenting(&[("Contact", 900)]).sync("Contact", "passthrough", &lines).start().await;
    let host = env.serve().await;
    let runs = async |env: &TestEnv| env.command(&["imports", "--json"]).await.json();
    // Not connected: the first run waits for it.
    let ran = until(async || runs(&env).await["runs"][0]["ended"].is_number()).await;
    assert!(ran);
    let first = runs(&env).await["runs"][0].clone();
    assert_eq!(first["ending"]["code"], "auth.not-connected", "{first}");
    assert_eq!(first["ending"]["outcome"], "paused");
    let listed = env.command(&["connections"]).await;
    assert!(listed.out.contains("not connected") && listed.out.contains("kilofold connect main"));
    let sync = env.command(&["sync", "list", "--json"]).await.json();
    assert_eq!(sync["syncs"][0]["state"], "awaiting-connection");

    let connected = connect(&env, &[]).await;
    assert_eq!(connected.code(), 0, "{connected:?}");
    assert!(connected.out.contains(&format!("main is connected: {FIRST}")), "{connected:?}");
    assert!(connected.err.contains("localhost%3A"), "{connected:?}");
    // It goes on by itself.
    let done = async || runs(&env).await["runs"][0]["ending"]["outcome"] == "succeeded";
    assert!(until(done).await);
    assert_eq!(runs(&env).await["runs"][0]["trigger"], "resume");
    let found = env.command(&["connections", "--json"]).await.json();
    let main = &found["connections"][0];
    assert_eq!((&main["state"], &main["user"]), (&"healthy".into(), &FIRST.into()), "{main}");
    assert_eq!((&main["approvals"]["number"], &main["syncs"][0]), (&1.into(), &"Contact".into()));
    assert!(main["last_used"].is_number() && main["authorised"].is_number());

    // Revoked in Salesforce: shown with the cause, and made again.
    env.sim.revoke_approvals(None);
    env.sim.expire_access_tokens();
    let ran = env.command(&["sync", "now", "Contact"]).await;
    assert_eq!(ran.code(), 3, "{ran:?}");
    let listed = env.command(&["connections"]).await;
    for words in ["reconnect", "revoked in Salesforce", "kilofold connect main"] {
        assert!(listed.out.contains(words), "{words}: {}", listed.out);
    }
    assert!(listed.out.lines().all(|line| line.chars().count() <= 80), "{}", listed.out);
    let pasted = paste(&env, "main").await;
    assert_eq!(pasted.code(), 0, "{pasted:?}");
    assert!(until(done).await);

    // Disconnected: the approval is given back, and the syncs wait.
    assert_eq!(env.sim.approvals(FIRST), 1);
    let gone = env.command(&["disconnect", "main"]).await;
    assert_eq!(gone.code(), 0, "{gone:?}");
    assert_eq!(env.sim.approvals(FIRST), 0);
    assert_eq!(env.command(&["sync", "now", "Contact"]).await.code(), 3);
    let ended = host.stop().await;
    assert_eq!(ended.code(), 0, "{ended:?}");
    // And the same without a host: one callback address serves both.
    assert_eq!(connect(&env, &["main"]).await.code(), 0);
    assert_eq!(env.command(&["sync", "now", "Contact"]).await.code(), 0);
    assert_eq!(env.command(&["disconnect", "main"]).await.code(), 0);
    env.open().await;
    env.assert_mirrors_org(&["Contact"]);
    env.assert_ledger_agrees();
}

async fn until(done: impl AsyncFn() -> bool) -> bool {
    let seen = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.is_ok()
}

/// `kilofold connect --paste`, as over ssh: the browser is elsewhere, and its last address is pasted.
async fn paste(env: &TestEnv, name: &str) -> Output {
    let errors = env.path("paste-errors");
    let file = std::fs::File::create(&errors).unwrap();
    let mut child = Command::new(kilofold())
        .args(["connect", name, "--paste", "--config"])
        .arg(env.config_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(file))
        .spawn()
        .unwrap();
    let said = async || std::fs::read_to_string(&errors).unwrap().contains("Then paste");
    assert!(until(said).await);
    let text = std::fs::read_to_string(&errors).unwrap();
    let url = text.lines().find(|line| line.contains("/authorize?")).unwrap().trim();
    let back = org_sim::user::back(url).await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who slips is asked again.
    writeln!(stdin, "{url}\n\n{back}").unwrap();
    drop(stdin);
    let ended =
        tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    Output {
        status: ended.status,
        out: String::from_utf8(ended.stdout).unwrap(),
        err: std::fs::read_to_string(&errors).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_draw_from_a_pool_and_move_when_one_is_lost() {
    let pool = format!("{PLAIN}\nconnection = [\"main\", \"second\"]");
    let mut setup = consenting(&[("Contact", 2_000), ("Lead", 1_600), ("Task", 1_200)])
        .sync("Contact", "passthrough", &pool)
        .sync("Lead", "passthrough", &pool)
        .sync("Task", "passthrough", &format!("{PLAIN}\nconnection = \"second\"\nfailover = true"));
    setup.connections = vec![connection("second", SECOND, "")];
    let env = setup.open().await;
    env.consent("main").await;
    env.consent("second").await;
    // Two runs at once take one connection each.
    env.sim.set_latency(Duration::from_millis(20));
    let (one, other) = tokio::join!(env.run_well("Contact"), env.run_well("Lead"));
    let mut used = [one.connection.to_string(), other.connection.to_string()];
    used.sort();
    assert_eq!(used, ["main", "second"]);
    let users: Vec<_> = env.pages_of("Contact").into_iter().chain(env.pages_of("Lead")).collect();
    for user in [FIRST, SECOND] {
        assert!(users.iter().any(|note| note.user.as_deref() == Some(user)), "{user}");
    }
    env.sim.set_latency(Duration::ZERO);

    // In mid-run the second user's approval ends: the run goes on with the first one's, behind what is committed.
    env.fault_when(
        RequestClass::QueryMore,
        FaultKind::Unauthorized { expire: true },
        When::After { skip: 3, times: 1 },
    );
    env.fault(RequestClass::Token, FaultKind::RevokeToken, 1);
    let mut events = env.app().bus.subscribe();
    let run = env.run_whole("Task").await;
    assert_eq!(run.connection.as_str(), "main");
    assert_eq!(run.counts.fetched, 1_200);
    let note = run.notes.iter().find(|note| note.contains("instead of 'second'")).unwrap();
    assert!(note.contains("other fields and records"), "{note}");
    let pages = env.pages_of("Task");
    assert_eq!(pages.len(), 6, "each page came once");
    let by = |user: &str| pages.iter().filter(|page| page.user.as_deref() == Some(user)).count();
    assert!(by(SECOND) > 0 && by(FIRST) > 0);
    let committed: Vec<u64> =
        env.store().pages(run.id, None, 100).unwrap().iter().map(|page| page.page).collect();
    assert_eq!(committed, (0..6).collect::<Vec<u64>>());
    let mut moved = Vec::new();
    while let Ok(told) = events.try_recv() {
        if let Event::SyncMoved { from, to, .. } = &told.event {
            moved.push((from.to_string(), to.to_string()));
        }
    }
    assert_eq!(moved, [("second".to_owned(), "main".to_owned())]);

    // From now on it draws the healthy one, and says so each time; the pool does without a word.
    env.later(3);
    let task = env.run_well("Task").await;
    assert!(task.notes.iter().any(|note| note.contains("instead of 'second'")), "{:?}", task.notes);
    let contact = env.run_well("Contact").await;
    assert_eq!((contact.connection.as_str(), contact.notes.len()), ("main", 0));
    // With the last one lost as well, it pauses.
    env.sim.revoke_approvals(None);
    env.sim.expire_access_tokens();
    let ending = env.run("Task").await.ending.unwrap();
    assert!(lost(&ending), "{ending:?}");
    env.consent("second").await;
    env.later(3);
    assert_eq!(env.run_well("Task").await.connection.as_str(), "second");
    env.assert_mirrors_org(&["Contact", "Lead", "Task"]);
    env.assert_feed_holds();
    env.assert_ledger_agrees();
}

/// What a run must be that went on with another connection: what Salesforce counted is what is left for it.
trait Whole {
    async fn run_whole(&self, sync: &str) -> Run;
}

impl Whole for TestEnv {
    async fn run_whole(&self, sync: &str) -> Run {
        let run = self.run(sync).await;
        let ending = run.ending.as_ref().unwrap();
        assert!(ending.is_success(), "{sync}: {ending:?}");
        assert!(run.counts.balanced(), "{:?}", run.counts);
        run
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_approval_is_refused_and_a_census_knows_of_others() {
    let mut setup = consenting(&[("Contact", 10)]).sync(
        "Contact",
        "passthrough",
        &format!("{PLAIN}\nconnection = \"main\""),
    );
    setup.connections = vec![connection("second", FIRST, "app = \"kilofold\"\n")];
    let env = setup.start().await;
    assert_eq!(connect(&env, &["main"]).await.code(), 0);
    for _ in 0..3 {
        env.sim.approve_elsewhere(FIRST, None);
    }
    let before = env.command(&["connections", "--json"]).await.json();
    assert_eq!(before["connections"][0]["approvals"]["number"], 1);
    // The census says what nobody here could know; it costs one call.
    let counted = env.sim.api_calls();
    let asked = env.command(&["connections", "--ask"]).await;
    assert_eq!(asked.code(), 0, "{asked:?}");
    assert!(asked.out.contains("4/5"), "{}", asked.out);
    assert!(
        asked.out.contains("3 elsewhere") && asked.out.contains("app kilofold"),
        "{}",
        asked.out
    );
    assert_eq!(env.sim.api_calls(), counted + 1);
    let limits = env.command(&["limits", "--json"]).await.json();
    assert!(limits.to_string().contains("census"), "{limits}");
    // The fifth with a warning; the sixth not at all.
    let fifth = connect(&env, &["second"]).await;
    assert_eq!(fifth.code(), 0, "{fifth:?}");
    assert!(fifth.err.contains("approval 5 of the 5"), "{}", fifth.err);
    env.sim.approve_elsewhere(FIRST, Some("Data Loader"));
    assert_eq!(env.command(&["disconnect", "second"]).await.code(), 0);
    env.sim.approve_elsewhere(FIRST, None);
    assert_eq!(env.command(&["connections", "--ask"]).await.code(), 0);
    let requests = env.sim.requests().len();
    let sixth = env.command(&["connect", "second", "--no-browser"]).await;
    assert_eq!(sixth.code(), 3, "{sixth:?}");
    // It is broken into lines.
    let told = sixth.err.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["approval number 6", "4 elsewhere", "'main'", "auth.approvals", "--anyway"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(env.sim.requests().len(), requests, "Salesforce was not even asked");
    assert_eq!(env.sim.approvals(FIRST), 5);
    // Asked for expressly, Salesforce ends the oldest: that of main, as was said.
    assert_eq!(connect(&env, &["second", "--anyway"]).await.code(), 0);
    let ran = env.command(&["sync", "now", "Contact"]).await;
    assert_eq!(ran.code(), 3, "{ran:?}");
    let after = env.command(&["connections", "--json"]).await.json();
    assert_eq!(after["connections"][0]["state"], "reconnect needed");
    let why = after["connections"][0]["why"].as_str().unwrap();
    assert!(why.contains("five-connection rule"), "{why}");
    assert_eq!(after["connections"][1]["state"], "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_org_is_turned_away() {
    let mut setup = consenting(&[("Contact", 10)]).sync(
        "Contact",
        "passthrough",
        &format!("{PLAIN}\nconnection = \"main\""),
    );
    setup.connections = vec![connection("other", FOREIGN, "")];
    let env = setup.start().await;
    assert_eq!(connect(&env, &["main"]).await.code(), 0);
    let host = env.serve().await;
    for _ in 0..2 {
        let mixed = connect(&env, &["other"]).await;
        assert_eq!(mixed.code(), 3, "{mixed:?}");
        let org = env.sim.org().read().unwrap().org_id().to_owned();
        for words in ["auth.other-org", FOREIGN, FIRST, &org, "00D9Z00000FOREi"] {
            assert!(mixed.err.contains(words), "{words}: {}", mixed.err);
        }
        assert_eq!(env.sim.approvals(FOREIGN), 0, "given back");
    }
    let found = env.command(&["connections", "--json"]).await.json();
    let state = |at: usize| found["connections"][at]["state"].as_str().unwrap().to_owned();
    assert_eq!([state(0), state(1)], ["healthy", "not connected"]);
    assert_eq!(found["connections"][1]["approvals"]["number"], 0);
    assert_eq!(env.command(&["sync", "now", "Contact"]).await.code(), 0);
    assert_eq!(host.stop().await.code(), 0);
}

/// The page's own road: the address from the API, the consent page with its button, the host's callback.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_the_page_asks_for_ends_at_the_hosts_own_callback() {
    let lines = format!("{PLAIN}\nevery = \"1h\"");
    let mut setup = consenting(&[("Contact", 300)]).sync("Contact", "passthrough", &lines);
    setup.sim.auto_approve = false;
    let env = setup.start().await;
    let host = env.serve().await;
    let http = client();
    let base = format!("http://127.0.0.1:{}", env.listen);
    let connect = async || -> Value {
        let asked = http.post(format!("{base}/api/v1/connections/main/connect"));
        asked.send().await.unwrap().json().await.unwrap()
    };
    let asked = connect().await;
    assert_eq!((&asked["state"], &asked["number"]), (&"waiting".into(), &1.into()), "{asked}");
    let open = asked["open"].as_str().unwrap().to_owned();
    assert_eq!(connect().await["open"], asked["open"], "two clicks are one approval");
    let press = async |open: &str, decision: &str| {
        let page = http.get(open).send().await.unwrap().text().await.unwrap();
        let request = page.split("name=\"request\" value=\"").nth(1).unwrap();
        let request = request.split('"').next().unwrap().to_owned();
        let form = [("request", request.as_str()), ("user", FIRST), ("decision", decision)];
        let form = http.post(format!("{}/services/oauth2/authorize", env.sim.url())).form(&form);
        let answer = form.send().await.unwrap();
        (answer.status().as_u16(), answer.url().clone(), answer.text().await.unwrap())
    };
    let (status, at, page) = press(&open, "deny").await;
    assert_eq!((status, at.path()), (400, "/connections/callback"));
    assert!(page.contains("access_denied"), "{page}");
    let asked = connect().await;
    let (status, at, page) = press(asked["open"].as_str().unwrap(), "allow").await;
    assert_eq!(
        (status, at.path(), at.host_str()),
        (200, "/connections/callback", Some("localhost"))
    );
    assert!(page.contains("main is connected") || page.contains("is connected"), "{page}");
    assert!(
        page.contains(FIRST) && page.contains(env.sim.org().read().unwrap().org_id()),
        "{page}"
    );
    let again = http.get(at.clone()).send().await.unwrap();
    assert_eq!(again.status(), 400, "once");
    let stands = http.get(format!("{base}/api/v1/connections/main/connect")).send().await.unwrap();
    let stands: Value = stands.json().await.unwrap();
    assert_eq!(
        (&stands["state"], &stands["status"]["state"]),
        (&"connected".into(), &"healthy".into())
    );
    // The denied one counts, as Salesforce may count it.
    assert_eq!(stands["status"]["approvals"]["number"], 2);
    let runs = async || env.command(&["imports", "--json"]).await.json()["runs"][0].clone();
    assert!(until(async || runs().await["ending"]["outcome"] == "succeeded").await);
    assert_eq!(host.stop().await.code(), 0);
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A sync's state in a store that nobody serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_made_while_nobody_served_is_found_by_the_next_host() {
    let lines = format!("{PLAIN}\nevery = \"1h\"");
    let mut env =
        consenting(&[("Contact", 300)]).sync("Contact", "passthrough", &lines).open().await;
    let schedule = env.app().schedule().await.unwrap();
    schedule.wait_idle().await.unwrap();
    assert_eq!(schedule.status().await.unwrap()[0].state, State::AwaitingConnection);
    schedule.stop().await;
    drop(schedule);
    env.close();
    assert_eq!(connect(&env, &[]).await.code(), 0);
    env.open().await;
    let mut events = env.app().bus.subscribe();
    let schedule = env.app().schedule().await.unwrap();
    assert_eq!(next_end(&mut events).await, Ending::Succeeded);
    schedule.stop().await;
    drop(schedule);
    let run = env.last_run("Contact");
    assert_eq!((run.trigger, &run.ending), (Trigger::Resume, &Some(Ending::Succeeded)));
    assert_eq!(env.runs(name("Contact").as_str()).len(), 2);
    env.assert_mirrors_org(&["Contact"]);
}

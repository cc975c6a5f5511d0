//! Fifty thousand records on one SystemModstamp, across interruptions: a cursor that were a time alone would lose some.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use kilofold::model::{Ending, Scan};
use org_sim::RequestClass;
use support::{Child, Setup};

const SIZE: usize = 50_000;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_on_one_second() {
    let mut env = Setup::new(&[("Contact", 0)])
        .sync("Contact", "passthrough", "fields = [\"LastName\", \"Email\"]")
        .open()
        .await;
    // The first window is empty, so that the records are read by stamp.
    env.run_well("Contact").await;
    env.insert("Contact", SIZE);
    env.later(5);
    let truth = env.sim.org().read().unwrap().truth("Contact");
    assert!(truth.rows.iter().all(|(_, stamp, _)| *stamp == truth.rows[0].1));
    env.sim.clear_requests();

    for (round, batches) in (0..).zip([1, 3, 2, 7, 5]) {
        if round == 2 {
            env.open().await;
        }
        let run = env.run_until("Contact", batches).await;
        assert_eq!(run.ending, Some(Ending::Interrupted));
        assert_eq!(run.window.unwrap().scan, Scan::ByStamp);
        assert!(run.pages >= batches, "{} pages", run.pages);
    }
    env.close();
    let config = env.config_path();
    let mut killed = 0;
    for pages in [1, 2, 4, 2] {
        let before = env.received(RequestClass::QueryMore).len();
        let mut child = Child::start(&config, &["sync", "now", "Contact"]);
        while env.received(RequestClass::QueryMore).len() < before + pages && child.alive() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        killed += usize::from(child.kill());
    }
    assert!(killed >= 2, "{killed} kills hit");
    env.open().await;
    let run = env.run_well("Contact").await;
    assert!(run.soql.contains("OR (SystemModstamp = "), "{}", run.soql);
    let arrived: u64 = env.runs("Contact").iter().map(|run| run.counts.mapped).sum();
    assert_eq!(arrived, SIZE as u64);
    env.assert_no_committed_page_again("Contact");
    env.assert_mirrors_org(&["Contact"]);
    env.assert_feed_holds();
    assert_eq!(env.feed().len(), SIZE);
}

//! The comparisons that the other tests rest on notice what they are for.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::{Setup, name};

fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_can_fail() {
    let env = Setup::new(&[("Contact", 2_000)])
        .sync("Contact", "passthrough", "fields = [\"LastName\"]\npage_size = 200")
        .open()
        .await;
    env.run_well("Contact").await;
    env.assert_mirrors_org(&["Contact"]);
    env.assert_no_committed_page_again("Contact");
    env.assert_ledger_agrees();

    env.touch("Contact", 1, 1);
    assert!(fails(|| env.assert_mirrors_org(&["Contact"])), "a change was not noticed");
    env.later(3);
    env.run_well("Contact").await;
    env.assert_mirrors_org(&["Contact"]);
    env.insert("Contact", 1);
    assert!(fails(|| env.assert_mirrors_org(&["Contact"])), "a new record was not noticed");

    env.sim.clear_requests();
    assert!(fails(|| env.assert_ledger_agrees()), "the ledger has calls that the org did not see");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_again_is_noticed() {
    let env = Setup::new(&[("Contact", 2_000)])
        .sync("Contact", "passthrough", "fields = [\"LastName\"]\npage_size = 200")
        .open()
        .await;
    let run = env.run_until("Contact", 2).await;
    assert!(run.cursor_after.open.is_some());
    env.store().reset(&name("Contact")).unwrap();
    env.run_well("Contact").await;
    assert!(fails(|| env.assert_no_committed_page_again("Contact")));
}

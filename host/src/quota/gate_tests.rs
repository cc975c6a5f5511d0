use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::model::{ConnectionName, SyncName};
use crate::quota::Share;

/// A journal in memory that can refuse.
#[derive(Default)]
struct Book {
    calls: Mutex<Vec<Option<Call>>>,
    broken: std::sync::atomic::AtomicBool,
}

impl Book {
    fn standing(&self) -> usize {
        self.calls.lock().unwrap().iter().flatten().count()
    }
}

impl Journal for Book {
    fn begin(&self, call: &Call) -> Result<u64, String> {
        if self.broken.load(Ordering::SeqCst) {
            return Err("disk full".to_owned());
        }
        let mut calls = self.calls.lock().unwrap();
        calls.push(Some(call.clone()));
        Ok(calls.len() as u64 - 1)
    }
    fn void(&self, entry: u64) {
        self.calls.lock().unwrap()[usize::try_from(entry).unwrap()] = None;
    }
    fn since(&self, at: Stamp) -> Result<Vec<(u64, Call)>, String> {
        let calls = self.calls.lock().unwrap();
        let calls = calls.iter().enumerate().filter_map(|(i, c)| Some((i as u64, c.clone()?)));
        Ok(calls.filter(|(_, call)| call.at >= at).collect())
    }
}

fn caller() -> Caller {
    Caller {
        connection: ConnectionName::new("main").unwrap(),
        sync: Some(SyncName::new("Contact").unwrap()),
        run: Some(RunId(1)),
    }
}

fn gate(rules: Rules) -> (Gate, Arc<Book>, Arc<AtomicI64>) {
    let book = Arc::new(Book::default());
    let time = Arc::new(AtomicI64::new(1_000_000_000_000));
    let clock = time.clone();
    let now = Clock::new(move || Stamp(clock.load(Ordering::SeqCst)));
    (Gate::with_clock(rules, book.clone(), now).unwrap(), book, time)
}

async fn spend(gate: &Gate) -> Result<(), Refused> {
    let mut pass = Pass::from(gate.permit(&caller(), Purpose::Query).await?);
    pass.sending();
    Ok(())
}

#[tokio::test]
async fn the_allowance_holds_under_any_interleaving_and_over_a_restart() {
    let rules = Rules { allowance: Some(Share::Calls(50)), concurrent: 8, ..Rules::default() };
    let (gate, book, time) = gate(rules);
    let calls = (0..200).map(|_| {
        let gate = gate.clone();
        tokio::spawn(async move { spend(&gate).await })
    });
    let mut granted = 0;
    for call in calls.collect::<Vec<_>>() {
        granted += usize::from(call.await.unwrap().is_ok());
    }
    assert_eq!((granted, book.standing(), gate.day()), (50, 50, 50));
    let clock = time.clone();
    let again = Gate::with_clock(
        rules,
        book.clone(),
        Clock::new(move || Stamp(clock.load(Ordering::SeqCst))),
    )
    .unwrap();
    let refused = spend(&again).await.unwrap_err();
    assert_eq!(refused.code, "limit.allowance");
    time.store(refused.until.unwrap().0, Ordering::SeqCst);
    spend(&again).await.unwrap();
}

#[tokio::test]
async fn an_unused_permit_costs_nothing() {
    let (gate, book, _) = gate(Rules { allowance: Some(Share::Calls(1)), ..Rules::default() });
    drop(gate.permit(&caller(), Purpose::Query).await.unwrap());
    assert_eq!((book.standing(), gate.day(), gate.run_calls(RunId(1))), (0, 0, 0));
    let mut pass = Pass::from(gate.permit(&caller(), Purpose::Query).await.unwrap());
    pass.sending();
    pass.not_sent();
    drop(pass);
    spend(&gate).await.unwrap();
    assert_eq!((book.standing(), gate.day(), gate.run_calls(RunId(1))), (1, 1, 1));
    assert_eq!(spend(&gate).await.unwrap_err().code, "limit.allowance");
}

#[tokio::test]
async fn no_call_without_a_journal_entry() {
    let (gate, book, _) = gate(Rules::default());
    book.broken.store(true, Ordering::SeqCst);
    assert_eq!(gate.permit(&caller(), Purpose::Query).await.unwrap_err().code, "quota.journal");
    assert_eq!(gate.free(&caller(), Purpose::Token).await.unwrap_err().code, "quota.journal");
    assert_eq!(gate.day(), 0);
    book.broken.store(false, Ordering::SeqCst);
    let mut free = Pass::from(gate.free(&caller(), Purpose::Token).await.unwrap());
    free.sending();
    drop(free);
    assert_eq!((book.standing(), gate.day()), (1, 0));
    assert_eq!(gate.free(&caller(), Purpose::Query).await.unwrap_err().code, "quota.not-free");
}

#[tokio::test]
async fn a_lagging_count_does_not_hide_our_calls() {
    let (gate, _, time) = gate(Rules { reserve: 100, ..Rules::default() });
    let at = |t: &AtomicI64| Stamp(t.load(Ordering::SeqCst));
    gate.observe(Usage { used: 14_890, max: 15_000, at: at(&time) });
    for _ in 0..10 {
        spend(&gate).await.unwrap();
        // Salesforce repeats the old number.
        gate.observe(Usage { used: 14_890, max: 15_000, at: at(&time) });
    }
    assert_eq!(gate.estimate().unwrap().used, 14_900);
    assert_eq!(spend(&gate).await.unwrap_err().code, "limit.reserve");
    // Once the count has had time to catch up, its word stands.
    time.fetch_add(6 * 60_000, Ordering::SeqCst);
    gate.observe(Usage { used: 14_850, max: 15_000, at: at(&time) });
    spend(&gate).await.unwrap();
}

#[tokio::test]
async fn a_spent_day_stops_every_call_until_a_probe() {
    let (gate, _, time) = gate(Rules::default());
    let at = |t: &AtomicI64| Stamp(t.load(Ordering::SeqCst));
    gate.limit_hit(LimitKind::Concurrent, "ConcurrentRequests Limit exceeded.", at(&time));
    spend(&gate).await.unwrap();
    gate.limit_hit(LimitKind::Daily, "TotalRequests Limit exceeded.", at(&time));
    let refused = spend(&gate).await.unwrap_err();
    assert!(refused.reason.contains("TotalRequests Limit exceeded."), "{refused}");
    assert!(!refused.look && refused.code == "limit.daily");
    assert!(gate.permit(&caller(), Purpose::Probe).await.is_err());
    time.store(refused.until.unwrap().0, Ordering::SeqCst);
    assert!(spend(&gate).await.unwrap_err().look, "a due probe is told, not taken");
    let probe = gate.permit(&caller(), Purpose::Probe).await.unwrap();
    assert!(gate.permit(&caller(), Purpose::Probe).await.is_err(), "one probe at a time");
    drop(probe);
    gate.probed(true);
    spend(&gate).await.unwrap();
}

#[tokio::test]
async fn requests_under_way_are_bounded() {
    let (gate, _, _) = gate(Rules { concurrent: 2, ..Rules::default() });
    let first = gate.permit(&caller(), Purpose::Query).await.unwrap();
    let _second = gate.permit(&caller(), Purpose::Query).await.unwrap();
    let who = caller();
    let mut third = std::pin::pin!(gate.permit(&who, Purpose::Query));
    assert!(futures::poll!(third.as_mut()).is_pending());
    // A free request does not queue behind them.
    drop(gate.free(&caller(), Purpose::Token).await.unwrap());
    drop(first);
    drop(third.await.unwrap());
}

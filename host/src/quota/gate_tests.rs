use std::sync::atomic::{AtomicI64, AtomicUsize};

use super::*;
use crate::model::{ConnectionName, SyncName};
use crate::quota::{Breaker, Share};

/// A journal in memory that can refuse, and that has room for ten calls between folds.
struct Book {
    calls: Mutex<Vec<Call>>,
    remembered: Mutex<Remembered>,
    room: AtomicUsize,
    folds: AtomicUsize,
    broken: AtomicBool,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            remembered: Mutex::default(),
            room: AtomicUsize::new(10),
            folds: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }
}

impl Book {
    fn standing(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

impl Journal for Book {
    fn begin(&self, call: &Call) -> Result<Room, String> {
        if self.broken.load(Ordering::SeqCst) {
            return Err("disk full".to_owned());
        }
        let mut calls = self.calls.lock().unwrap();
        if self.room.load(Ordering::SeqCst) == 0 {
            return Ok(Room::None);
        }
        self.room.fetch_sub(1, Ordering::SeqCst);
        calls.push(call.clone());
        Ok(Room::Plenty)
    }
    fn void(&self, call: &Call) {
        let mut calls = self.calls.lock().unwrap();
        let at = calls.iter().rposition(|other| other == call).unwrap();
        calls.remove(at);
    }
    fn fold(&self) -> Result<(), String> {
        self.folds.fetch_add(1, Ordering::SeqCst);
        self.room.store(10, Ordering::SeqCst);
        Ok(())
    }
    fn since(&self, at: Stamp) -> Result<Vec<Call>, String> {
        let calls = self.calls.lock().unwrap();
        Ok(calls.iter().filter(|call| call.at >= at).cloned().collect())
    }
    fn remember(&self, kept: Vec<u8>, others: &[(Stamp, u64)]) {
        let mut all = self.remembered.lock().unwrap();
        all.kept = Some(kept);
        all.others.retain(|(hour, _)| others.iter().all(|(other, _)| other != hour));
        all.others.extend(others);
    }
    fn remembered(&self, _: Stamp) -> Result<Remembered, String> {
        Ok(self.remembered.lock().unwrap().clone())
    }
}

fn caller() -> Caller {
    Caller {
        connection: ConnectionName::new("main").unwrap(),
        sync: Some(SyncName::new("Contact").unwrap()),
        run: Some(RunId(1)),
        page: None,
    }
}

fn gate(rules: Rules) -> (Gate, Arc<Book>, Arc<AtomicI64>) {
    let book = Arc::new(Book::default());
    let time = Arc::new(AtomicI64::new(1_000_000_000_000));
    let clock = time.clone();
    let now = Clock::new(move || Stamp(clock.load(Ordering::SeqCst)));
    (Gate::with_clock(rules, book.clone(), now).unwrap(), book, time)
}

/// A gate that opens on the same journal.
fn restarted(rules: Rules, book: &Arc<Book>, time: &Arc<AtomicI64>) -> Gate {
    let clock = time.clone();
    let now = Clock::new(move || Stamp(clock.load(Ordering::SeqCst)));
    Gate::with_clock(rules, book.clone(), now).unwrap()
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
    assert!(book.folds.load(Ordering::SeqCst) >= 4, "it waits for the fold when there is no room");
    let again = restarted(rules, &book, &time);
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
    let (gate, book, time) = gate(Rules::default());
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
    // A restart does not spend a call to learn it again.
    let again = restarted(Rules::default(), &book, &time);
    assert_eq!(spend(&again).await.unwrap_err().code, "limit.daily");
    drop(probe);
    gate.probed();
    spend(&gate).await.unwrap();
    assert_eq!(restarted(Rules::default(), &book, &time).breaker(), Breaker::Open);
}

#[tokio::test]
async fn fewer_requests_at_once_after_a_complaint() {
    let (gate, _, time) = gate(Rules { concurrent: 4, ..Rules::default() });
    let at = |t: &AtomicI64| Stamp(t.load(Ordering::SeqCst));
    let under_way = async |n: usize| {
        let mut all = Vec::new();
        for _ in 0..n {
            all.push(gate.permit(&caller(), Purpose::Query).await.unwrap());
        }
        all
    };
    let four = under_way(4).await;
    gate.limit_hit(LimitKind::Concurrent, "ConcurrentRequests Limit exceeded.", at(&time));
    gate.limit_hit(LimitKind::LongRunning, "ConcurrentPerOrgLongTxn Limit exceeded.", at(&time));
    assert_eq!(gate.concurrent(), 2, "one crowd, one complaint");
    drop(four);
    let mut all = under_way(2).await;
    let who = caller();
    {
        let mut third = std::pin::pin!(gate.permit(&who, Purpose::Query));
        assert!(futures::poll!(third.as_mut()).is_pending());
    }
    for bound in [3, 4, 4] {
        time.fetch_add(60_000, Ordering::SeqCst);
        drop(all.pop());
        assert_eq!(gate.concurrent(), bound);
        all.extend(under_way(1).await);
    }
    all.extend(under_way(2).await);
    let mut fifth = std::pin::pin!(gate.permit(&who, Purpose::Query));
    assert!(futures::poll!(fifth.as_mut()).is_pending(), "never more than the rules say");
}

#[tokio::test]
async fn a_restart_knows_what_the_org_told() {
    let rules = Rules { reserve: 100, ..Rules::default() };
    let (gate, book, time) = gate(rules);
    let at = |t: &AtomicI64| Stamp(t.load(Ordering::SeqCst));
    gate.observe(Usage { used: 14_890, max: 15_000, at: at(&time) });
    for _ in 0..4 {
        spend(&gate).await.unwrap();
    }
    let again = restarted(rules, &book, &time);
    assert_eq!(again.usage().unwrap().used, 14_890);
    assert_eq!(again.estimate().unwrap().used, 14_894, "calls since the reading count");
    assert_eq!(again.others(), 14_890);
}

#[tokio::test]
async fn unknown_is_not_free() {
    // Nobody has told anything: half of the smallest day is taken to be spent.
    let (gate, _, _) = gate(Rules { reserve: 7_490, ..Rules::default() });
    for _ in 0..10 {
        spend(&gate).await.unwrap();
    }
    let refused = spend(&gate).await.unwrap_err();
    assert!(refused.code == "limit.reserve" && refused.look, "{refused:?}");
    let (gate, ..) =
        self::gate(Rules { entitlement: Some(100_000), reserve: 40_000, ..Rules::default() });
    spend(&gate).await.unwrap();
}

#[tokio::test]
async fn first_passes_leave_their_share_and_what_others_need() {
    let rules = Rules { allowance: Some(Share::Calls(100)), concurrent: 8, ..Rules::default() };
    let (gate, ..) = gate(rules);
    let sync = |name: &str, run: u64| Caller {
        sync: Some(SyncName::new(name).unwrap()),
        run: Some(RunId(run)),
        ..caller()
    };
    let need = |name: &str, priority: i32, day: u64| Need {
        sync: SyncName::new(name).unwrap(),
        priority,
        day,
        floor: 2,
        first_pass: false,
    };
    let new = Need { first_pass: true, ..need("new", 9, 0) };
    let new = Need { floor: 0, ..new };
    gate.expect(vec![need("high", 5, 50), need("low", 0, 30), new]);
    gate.first_pass(RunId(3), true);
    let spend_as = async |who: &Caller| {
        let permit = gate.permit(who, Purpose::Query).await?;
        Pass::from(permit).sending();
        Ok::<_, Refused>(())
    };
    let (high, low, new) = (sync("high", 1), sync("low", 2), sync("new", 3));
    let mut first = 0;
    let refused = loop {
        match spend_as(&new).await {
            Ok(()) => first += 1,
            Err(refused) => break refused,
        }
    };
    // Eighty are kept back for the regular runs of the others, although half would be 50; half of its share it has anyway.
    assert_eq!((first, refused.code), (25, "limit.priority"));
    assert_eq!(
        refused.reason,
        "75 API calls are left to kilofold for now, and others come first with 80: 50 for high, 30 for low"
    );
    assert!(refused.until.is_some());
    let mut lows = 0;
    let refused = loop {
        match spend_as(&low).await {
            Ok(()) => lows += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(lows, 100 - 25 - 50, "what the more important one needs stays");
    assert!(refused.reason.ends_with(": 50 for high"), "{refused}");
    for _ in 0..40 {
        spend_as(&high).await.unwrap();
    }
    let kept: Vec<u64> = gate.report().kept.iter().map(|kept| kept.claim.need()).collect();
    assert_eq!((gate.day(), kept), (90, vec![0, 10, 5, 0]));
    // The important one had a quiet day; nothing is kept back for it any more.
    gate.expect_of(need("high", 5, 40));
    gate.expect_of(need("low", 0, 20));
    for _ in 0..10 {
        spend_as(&new).await.unwrap();
    }
    assert_eq!(spend_as(&new).await.unwrap_err().code, "limit.allowance");
}

#[tokio::test]
async fn first_passes_spend_no_more_than_their_share() {
    let rules = Rules {
        allowance: Some(Share::Calls(100)),
        backfill: Share::Calls(30),
        ..Rules::default()
    };
    let (gate, ..) = gate(rules);
    gate.first_pass(RunId(3), true);
    let new = Caller { run: Some(RunId(3)), ..caller() };
    for _ in 0..30 {
        Pass::from(gate.permit(&new, Purpose::Query).await.unwrap()).sending();
    }
    let refused = gate.permit(&new, Purpose::Query).await.unwrap_err();
    assert_eq!(refused.code, "limit.backfill");
}

#[tokio::test]
async fn a_first_pass_waits_for_the_least_important_and_these_for_it() {
    // Others took what was left: what is kept back shrinks with it, so that someone can always go on.
    let rules = Rules { allowance: Some(Share::Calls(100)), reserve: 10, ..Rules::default() };
    let (gate, _, time) = gate(rules);
    let at = Stamp(time.load(Ordering::SeqCst));
    gate.observe(Usage { used: 992, max: 1_000, at });
    let sync = |name: &str| SyncName::new(name).unwrap();
    let need = |name: &str, first_pass| {
        let floor = if first_pass { 0 } else { 5 };
        Need { sync: sync(name), priority: 0, day: 50, floor, first_pass }
    };
    gate.expect(vec![need("old", false), need("new", true)]);
    assert!(gate.report().kept.iter().all(|kept| kept.claim.floor == 0), "nothing is left");
    // Salesforce's count may lag by five minutes; then the lower one is the true one.
    let at = at.plus(Duration::from_secs(600));
    time.store(at.0, Ordering::SeqCst);
    gate.observe(Usage { used: 978, max: 1_000, at });
    let floors: Vec<u64> = gate.report().kept.iter().map(|kept| kept.claim.floor).collect();
    assert_eq!(floors, [6, 5, 0], "of twelve");
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

//! What the gate knows, behind its lock: no waiting, no I/O.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::budget::{
    Ask, Bound, Caps, Decision, OrgDay, Outlook, SMALLEST_DAY, Spent, decide, when_fits,
};
use super::gate::Refused;
use super::ledger::{DAY, UNDER_WAY};
use super::needs::{Claim, FIRST_PASSES, Need, claims, kept_back, kept_for};
use super::{Breaker, Crowd, LOOK_EVERY, Ledger, Others, Rules, SpentBy};
use crate::model::{Call, Purpose, RunId, Stamp, SyncName, Usage};

/// How far Salesforce's own count lags behind at most: `/limits` promises five minutes.
const LAG: Duration = Duration::from_secs(5 * 60);

/// What is remembered over restarts is handed over at most this often, unless it matters at once.
const REMEMBER_EVERY: Duration = Duration::from_secs(10);

/// Even when calls are known to free later, others may end sooner, so it is looked again after this.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2 * 60 * 60);

/// What is known of the org's day, and what of it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When this was so.
    pub now: Stamp,
    /// The last reading.
    pub reading: Option<Usage>,
    /// The org's day, with what is assumed where nothing is known.
    pub org: OrgDay,
    /// The rules in calls.
    pub caps: Caps,
    /// Calls that are left to other applications.
    pub reserve: u64,
    /// Our own counted calls of the last 24 hours.
    pub ours: u64,
    /// What of our own calls counts against the rules: that may be a few more, see [`UNDER_WAY`].
    pub spent: Spent,
    /// Our own calls of the last 24 hours by connection, sync and purpose.
    pub by: Vec<SpentBy>,
    /// Calls that others made in the last 24 hours.
    pub others: u64,
    /// Since when every hour of theirs is known.
    pub others_since: Option<Stamp>,
    /// Whether Salesforce refuses calls for the day.
    pub breaker: Breaker,
    /// How many requests may be under way at once.
    pub concurrent: usize,
    /// What is kept back for whom.
    pub kept: Vec<KeptBack>,
    /// Calls that stop counting, ours and those of others, by time.
    pub releases: Vec<(Stamp, u64)>,
    /// Those of them that are ours.
    pub our_releases: Vec<(Stamp, u64)>,
}

/// What is kept back for a sync or for first passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    /// The sync; none: all first passes.
    pub sync: Option<SyncName>,
    /// What it claims, and how much of that was spent.
    pub claim: Claim,
}

/// What a gate must know after a restart, beside the ledger.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    pub reading: Option<Usage>,
    #[serde(default)]
    pub breaker: Breaker,
    #[serde(default)]
    pub others: Others,
}

pub(super) struct State {
    pub rules: Rules,
    pub ledger: Ledger,
    pub breaker: Breaker,
    pub others: Others,
    pub crowd: Crowd,
    /// Places under way that go when their request ends, because the bound was lowered.
    pub excess: usize,
    /// Readings of the last minutes, the one that tells of the most use first.
    marks: VecDeque<Mark>,
    /// How many calls we had made at moments of the last minutes.
    totals: VecDeque<(Stamp, u64)>,
    pub last: Option<Usage>,
    pub under_way: u64,
    first_passes: HashSet<RunId>,
    needs: Vec<Need>,
    claims: Vec<Claim>,
    /// The room, and the share of first passes, that the claims were made for.
    made_for: (u64, u64),
    /// The numbers of the needs' syncs in the ledger, and from those to the places of the claims.
    numbers: Vec<usize>,
    places: Vec<Option<usize>>,
    remembered: Option<Stamp>,
}

/// A reading, and how many of our calls it can have seen.
#[derive(Clone, Copy)]
struct Mark {
    usage: Usage,
    seen: u64,
}

impl Mark {
    fn score(&self) -> i128 {
        i128::from(self.usage.used) - i128::from(self.seen)
    }
}

impl State {
    pub(super) fn new(rules: Rules, calls: &[Call], kept: Kept, now: Stamp) -> Self {
        let mut ledger = Ledger::default();
        let mut unseen = 0;
        for call in calls {
            // A clock that was set back: it was made before now.
            let call = Call { at: call.at.min(now), ..call.clone() };
            ledger.enter(&call);
            let late = kept.reading.is_some_and(|reading| call.at > reading.at.minus(LAG));
            unseen += u64::from(late && call.purpose.counted());
        }
        let seen = ledger.total() - unseen;
        let marks = kept.reading.map(|usage| Mark { usage, seen });
        Self {
            rules,
            ledger,
            breaker: kept.breaker,
            others: kept.others,
            crowd: Crowd::new(rules.concurrent),
            excess: 0,
            marks: marks.into_iter().collect(),
            totals: VecDeque::new(),
            last: kept.reading,
            under_way: 0,
            first_passes: HashSet::new(),
            needs: Vec::new(),
            claims: Vec::new(),
            made_for: (0, 0),
            numbers: Vec::new(),
            places: Vec::new(),
            remembered: None,
        }
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { reading: self.last, breaker: self.breaker.clone(), others: self.others.clone() }
    }

    /// Whether what is remembered should be handed over now.
    pub(super) fn should_remember(&mut self, now: Stamp, at_once: bool) -> bool {
        // Neither too often nor, when the clock was set back, never.
        let fresh = |at: Stamp| now.since(at) < REMEMBER_EVERY && at <= now;
        if !at_once && self.remembered.is_some_and(fresh) {
            return false;
        }
        self.remembered = Some(now);
        true
    }

    pub(super) fn set_needs(&mut self, needs: Vec<Need>) {
        let (room, backfill) = self.made_for;
        self.claims = claims(&needs, room, backfill);
        self.numbers = needs.iter().map(|need| self.ledger.number(&need.sync)).collect();
        self.places = vec![None; self.numbers.iter().max().map_or(0, |most| most + 1)];
        for (place, number) in self.numbers.iter().enumerate() {
            self.places[*number] = Some(FIRST_PASSES + 1 + place);
        }
        self.needs = needs;
    }

    pub(super) fn set_need(&mut self, need: Need) {
        let mut needs = std::mem::take(&mut self.needs);
        match needs.iter_mut().find(|known| known.sync == need.sync) {
            Some(known) => *known = need,
            None => needs.push(need),
        }
        self.set_needs(needs);
    }

    pub(super) fn needs(&self) -> &[Need] {
        &self.needs
    }

    pub(super) fn set_first_pass(&mut self, run: RunId, first: bool) {
        if first {
            self.first_passes.insert(run)
        } else {
            self.first_passes.remove(&run)
        };
    }

    pub(super) fn is_first_pass(&self, run: Option<RunId>) -> bool {
        run.is_some_and(|run| self.first_passes.contains(&run))
    }

    /// Enters the call if it may be made. `behalf`: the syncs that share it, when several do.
    pub(super) fn admit(&mut self, call: &Call, behalf: &[SyncName]) -> Result<(), Refused> {
        let now = call.at;
        if call.purpose.counted() && !self.breaker.is_open() {
            let due = self.breaker.probe_due(now);
            if call.purpose != Purpose::Probe || !due {
                return Err(self.refused_for_the_day(now, due));
            }
            self.breaker = std::mem::take(&mut self.breaker).probing(now);
            self.enter(call);
            return Ok(());
        }
        let asker = self.asker(call, behalf);
        let ours = self.spent(now, call.caller.run);
        let org = self.org_day(now);
        self.claim(&org, &ours);
        let kept_back = kept_back(&self.claims, asker);
        let ask = Ask { purpose: call.purpose, backfill: call.backfill, kept_back };
        match decide(now, &self.rules, &org, &ours, &ask) {
            Decision::Grant => {
                self.enter(call);
                Ok(())
            }
            Decision::Wait { bound, look } => {
                let until = self.until(now, bound, &org, ours, asker, call.backfill);
                let reason = self.words(bound, &org, &ours, asker);
                Err(Refused { code: bound.code(), reason, until, look })
            }
        }
    }

    /// The place of whoever asks; of several syncs, of the most important one.
    fn asker(&mut self, call: &Call, behalf: &[SyncName]) -> Option<usize> {
        if call.backfill {
            return Some(FIRST_PASSES);
        }
        let shared = behalf.iter().chain(&call.caller.sync);
        let places = shared.filter_map(|sync| {
            let number = self.ledger.number(sync);
            self.places.get(number).copied().flatten()
        });
        places.max_by_key(|place| self.claims.get(*place).map(|claim| claim.priority))
    }

    fn refused_for_the_day(&self, now: Stamp, look: bool) -> Refused {
        let (text, until) = match &self.breaker {
            Breaker::Open => (String::new(), None),
            // Its time is past while a probe is under way.
            Breaker::Closed { text, probe_at, .. } => (text.clone(), Some((*probe_at).max(now))),
        };
        let reason = format!("Salesforce refuses API calls for now: {text}");
        Refused { code: "limit.daily", reason, until, look }
    }

    pub(super) fn enter(&mut self, call: &Call) {
        self.ledger.enter(call);
        self.under_way += u64::from(call.purpose.counted());
    }

    /// What we spent.
    pub(super) fn spent(&mut self, now: Stamp, run: Option<RunId>) -> Spent {
        self.ledger.expire(now);
        Spent {
            day: self.ledger.binding(),
            backfill: self.ledger.backfill(),
            run: run.map_or(0, |run| self.ledger.run(run)),
            looked: self.ledger.looked(),
        }
    }

    /// Brings the claims up to date: with what was spent, and with what may be.
    fn claim(&mut self, org: &OrgDay, ours: &Spent) {
        let caps = Caps::of(&self.rules, org.max);
        let made_for = (caps.room(org.used.saturating_sub(ours.day)), caps.backfill);
        if self.made_for != made_for {
            self.made_for = made_for;
            self.claims = claims(&self.needs, made_for.0, made_for.1);
        }
        let mut claims = self.claims.iter_mut();
        if let Some(first) = claims.next() {
            first.spent = ours.backfill;
        }
        for (claim, number) in claims.zip(&self.numbers) {
            claim.spent = self.ledger.regular(*number);
        }
    }

    /// The org's day as far as it can be known.
    pub(super) fn org_day(&mut self, now: Stamp) -> OrgDay {
        self.trim(now);
        if let (Some(front), Some(last)) = (self.marks.front(), self.last)
            && now.since(last.at) < DAY
        {
            let unseen = self.ledger.total().saturating_sub(front.seen);
            let used = front.usage.used.saturating_add(unseen);
            return OrgDay { max: last.max, used, read: Some(last.at) };
        }
        // Never free: others are taken to spend what they were last seen to, or else half of the day.
        let max = self.last.map(|last| last.max).or(self.rules.entitlement).unwrap_or(SMALLEST_DAY);
        let others = self.others.since().map_or(max / 2, |_| self.others.day(now));
        OrgDay { max, used: self.ledger.binding().saturating_add(others), read: None }
    }

    /// When asking again makes sense.
    fn until(
        &self,
        now: Stamp,
        bound: Bound,
        org: &OrgDay,
        ours: Spent,
        asker: Option<usize>,
        backfill: bool,
    ) -> Option<Stamp> {
        if bound == Bound::Run {
            return None;
        }
        let caps = Caps::of(&self.rules, org.max);
        let most = caps.allowance.unwrap_or(caps.org);
        let worth = if backfill { caps.backfill / 20 } else { most / 100 };
        let outlook = Outlook {
            caps,
            used: org.used,
            ours,
            claims: &self.claims,
            asker,
            backfill,
            worth: worth.clamp(1, 200),
        };
        let place = |number: usize| self.places.get(number).copied().flatten();
        let fits = when_fits(&outlook, self.ledger.releases(), &self.others.releases(now), place);
        // What others do cannot be foreseen; our own part can.
        let foreseen =
            caps.bound(0, &ours, &Ask { purpose: Purpose::Query, backfill, kept_back: 0 });
        if foreseen.is_some() {
            return fits.or(Some(now.plus(LOOK_AT_LEAST)));
        }
        let soonest = org.read.into_iter().chain(ours.looked).max().unwrap_or(now);
        let soonest = soonest.plus(LOOK_EVERY).max(now);
        let latest = now.plus(LOOK_AT_LEAST);
        Some(fits.unwrap_or(latest).min(latest).max(soonest))
    }

    /// Why there is no call, for a person.
    fn words(&self, bound: Bound, org: &OrgDay, ours: &Spent, asker: Option<usize>) -> String {
        let caps = Caps::of(&self.rules, org.max);
        let (used, max, reserve) = (org.used, org.max, self.rules.reserve);
        match bound {
            Bound::Run => {
                let cap = self.rules.per_run.unwrap_or(0);
                format!("this run has spent the {cap} API calls that a run may spend")
            }
            Bound::Backfill => format!(
                "first passes have spent {} API calls in the last 24 hours, their share is {}",
                ours.backfill, caps.backfill
            ),
            Bound::Allowance => format!(
                "kilofold has spent {} API calls in the last 24 hours, its allowance is {}",
                ours.day,
                caps.allowance.unwrap_or(0)
            ),
            Bound::Needs => {
                let left = caps.allowance.map_or(u64::MAX, |cap| cap.saturating_sub(ours.day));
                let left = left.min(caps.org.saturating_sub(used));
                format!(
                    "{left} API calls are left to kilofold for now, and others come first with {}: {}",
                    kept_back(&self.claims, asker),
                    self.whom(asker)
                )
            }
            Bound::Reserve if org.read.is_some() => format!(
                "about {used} of the org's {max} API calls of 24 hours are spent, and {reserve} are reserved for other \
                 applications"
            ),
            Bound::Reserve => format!(
                "Salesforce has not told how many API calls are left; kilofold assumes {used} of {max} to be spent, \
                 and {reserve} are reserved for other applications"
            ),
        }
    }

    /// For whom calls are kept back from one who asks, those with the most first.
    fn whom(&self, asker: Option<usize>) -> String {
        const NAMED: usize = 3;
        let mut kept: Vec<(usize, u64)> = kept_for(&self.claims, asker).collect();
        kept.retain(|(_, calls)| *calls > 0);
        kept.sort_by_key(|(place, calls)| (std::cmp::Reverse(*calls), *place));
        let name = |place: usize| match place.checked_sub(FIRST_PASSES + 1) {
            Some(place) => self.needs.get(place).map_or("", |need| need.sync.as_str()),
            None => "first passes",
        };
        let named = kept.iter().take(NAMED);
        let mut words: Vec<String> =
            named.map(|(place, calls)| format!("{calls} for {}", name(*place))).collect();
        let more: u64 = kept.iter().skip(NAMED).map(|(_, calls)| calls).sum();
        if more > 0 {
            words.push(format!("{more} for the rest"));
        }
        words.join(", ")
    }

    /// Forgets readings so old that Salesforce's count has caught up since, but never the last one.
    fn trim(&mut self, now: Stamp) {
        while self.marks.len() > 1
            && self.marks.front().is_some_and(|mark| now.since(mark.usage.at) > LAG)
        {
            self.marks.pop_front();
        }
    }

    /// Takes in a reading; `own`: it came with the answer to a call that is under way.
    ///
    /// Salesforce's count lags, so a lower bound of the true use is the highest of `reading + our calls since it` over the
    /// last minutes; only the readings that can still become the highest are kept.
    pub(super) fn observe(&mut self, usage: Usage, own: bool) {
        let now = usage.at;
        // Other calls under way may or may not be in it; the one that brought it is.
        let unsure = self.under_way.saturating_sub(u64::from(own));
        let mark = Mark { usage, seen: self.ledger.total().saturating_sub(unsure) };
        while self.marks.back().is_some_and(|back| back.score() <= mark.score()) {
            self.marks.pop_back();
        }
        self.marks.push_back(mark);
        self.last = Some(usage);
        self.trim(now);
        // Of our own calls it has seen at least those that are older than the lag, at most all.
        self.ledger.expire(now);
        let (ours, total) = (self.ledger.day(now), self.ledger.total());
        if self.totals.back().is_none_or(|(at, _)| now.since(*at) >= REMEMBER_EVERY) {
            self.totals.push_back((now, total));
        }
        while self.totals.get(1).is_some_and(|(at, _)| now.since(*at) > LAG) {
            self.totals.pop_front();
        }
        let settled = match self.totals.front() {
            Some((at, settled)) if now.since(*at) > LAG => *settled,
            _ => 0,
        };
        let recent = total.saturating_sub(settled).min(ours);
        self.others.seen(
            now,
            usage.used.saturating_sub(ours),
            usage.used.saturating_sub(ours - recent),
        );
    }

    pub(super) fn report(&mut self, now: Stamp) -> Report {
        let spent = self.spent(now, None);
        let org = self.org_day(now);
        self.claim(&org, &spent);
        let names = std::iter::once(None).chain(self.needs.iter().map(|need| Some(&need.sync)));
        let kept = names.zip(&self.claims);
        let kept = kept.map(|(sync, claim)| KeptBack { sync: sync.cloned(), claim: *claim });
        let kept = kept.collect();
        let mut our_releases: Vec<(Stamp, u64)> = Vec::new();
        for at in self.ledger.releases().map(|release| release.at.minus(UNDER_WAY).floor_second()) {
            match our_releases.last_mut().filter(|(last, _)| *last == at) {
                Some((_, calls)) => *calls += 1,
                None => our_releases.push((at, 1)),
            }
        }
        let mut releases = self.others.releases(now);
        releases.extend(&our_releases);
        releases.sort_unstable_by_key(|(at, _)| *at);
        Report {
            now,
            reading: self.last,
            org,
            caps: Caps::of(&self.rules, org.max),
            reserve: self.rules.reserve,
            ours: self.ledger.day(now),
            spent,
            by: self.ledger.spent(now.minus(DAY)),
            others: self.others.day(now),
            others_since: self.others.since(),
            breaker: self.breaker.clone(),
            concurrent: self.crowd.now(),
            kept,
            releases,
            our_releases,
        }
    }

    /// When calls of ours or of others next stop counting; none while that is not known of all.
    pub(super) fn frees(&self, now: Stamp) -> Option<Stamp> {
        if !self.others.all_known() {
            return None;
        }
        let ours = self.ledger.releases().next().map(|release| release.at.minus(UNDER_WAY));
        let others = self.others.releases(now).first().map(|(at, _)| *at);
        ours.into_iter().chain(others).min()
    }
}

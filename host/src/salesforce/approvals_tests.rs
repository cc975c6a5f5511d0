use proptest::prelude::*;

use super::*;

const APP: &str = "3MVG9app";
const HOUR: i64 = 60 * 60 * 1000;

fn name(text: &str) -> ConnectionName {
    ConnectionName::new(text).unwrap()
}

fn who(id: &str) -> Who {
    Who { id: Some(format!("005{id:0>12}AAA")), name: Some(format!("{id}@example.com")) }
}

fn asked(who: &Who) -> Asked<'_> {
    Asked { client_id: APP, who, app: None, declared: 0 }
}

fn census(who: &Who, at: i64, apps: &[(&str, usize)]) -> Census {
    let tokens = |(app, tokens): &(&str, usize)| Tokens {
        app: (*app).to_owned(),
        tokens: *tokens,
        least_used: Some(Stamp(at - HOUR)),
        last_used: Some(Stamp(at)),
    };
    let apps = apps.iter().map(tokens).collect();
    Census { user_id: who.id.clone().unwrap(), at: Stamp(at), apps, unread: None }
}

/// What a user, kilofold and others do, one after the other.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start,
    Give(usize),
    Revoke(usize),
    Lose(usize),
    Other(bool),
    Wait(i64),
    Census,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Start),
        3 => (0..9_usize).prop_map(Step::Give),
        1 => (0..9_usize).prop_map(Step::Revoke),
        1 => (0..9_usize).prop_map(Step::Lose),
        2 => any::<bool>().prop_map(Step::Other),
        2 => (1..3 * HOUR).prop_map(Step::Wait),
        2 => Just(Step::Census),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Beside a plain account of who holds what: never fewer than there are, as far as they could be known.
    #[test]
    fn counts_what_can_be_known(steps in steps(), declared in 0..4_usize, named: bool) {
        let user = who("1");
        let app = named.then_some("kilofold");
        let asked = Asked { client_id: APP, who: &user, app, declared };
        let mut book = Approvals::default();
        let (mut now, mut others, mut seen_others) = (1_000 * HOUR, 0_usize, None::<usize>);
        // Given ones, and unfinished ones with their start.
        let (mut given, mut open) = (Vec::<u64>::new(), Vec::<(u64, i64)>::new());
        for step in steps {
            now += 1;
            match step {
                Step::Start => {
                    let before = book.tally(asked, Stamp(now)).number;
                    open.push((book.start(&name("main"), asked, Stamp(now)), now));
                    let after = book.tally(asked, Stamp(now)).number;
                    // One more, unless a start that nobody finished makes room.
                    prop_assert!(after == before + 1 || before >= MOST && after <= before + 1);
                    open.retain(|(id, _)| book.list().iter().any(|one| one.id == *id && one.ended.is_none()));
                }
                Step::Give(at) if !open.is_empty() => {
                    let (id, _) = open.remove(at % open.len());
                    let before = book.tally(asked, Stamp(now)).number;
                    book.give(id, &user, Stamp(now));
                    prop_assert_eq!(book.tally(asked, Stamp(now)).number, before, "it counted from its start");
                    given.push(id);
                }
                Step::Revoke(at) | Step::Lose(at) if !given.is_empty() => {
                    let id = given.remove(at % given.len());
                    book.end(id, End::Revoked, Stamp(now));
                }
                Step::Other(more) => others = if more { others + 1 } else { others.saturating_sub(1) },
                Step::Wait(ms) => now += ms,
                Step::Census => {
                    let rows = given.len() + others;
                    let apps = [("kilofold", rows)];
                    let census = census(&user, now, if rows > 0 { &apps } else { &[] });
                    book.observe(census, &[asked]);
                    seen_others = Some(others);
                    open.retain(|(id, _)| book.list().iter().any(|one| one.id == *id && one.ended.is_none()));
                    let young = open.iter().filter(|(_, at)| at + HOUR > now).count();
                    let number = book.tally(asked, Stamp(now)).number;
                    prop_assert!(number >= rows, "{number} known of {rows}");
                    let most = given.len() + open.len() + declared;
                    prop_assert!(number <= (rows + young).max(most), "{number} of {rows} and {young}");
                    // What nobody finished long ago stays only where the list has a token for it.
                    prop_assert!(open.len() <= young + others);
                }
                _ => {}
            }
            let tally = book.tally(asked, Stamp(now));
            prop_assert_eq!((tally.ours, tally.started), (given.len(), open.len()));
            prop_assert_eq!(tally.number, tally.ours + tally.started + tally.elsewhere);
            prop_assert!(tally.elsewhere >= declared);
            prop_assert!(tally.number >= given.len() + open.len());
            prop_assert!(seen_others.is_some() || tally.elsewhere == declared);
            prop_assert_eq!(tally.oldest.is_some(), tally.ours + tally.started > 0);
        }
        let text = serde_json::to_string(&book).unwrap();
        prop_assert_eq!(serde_json::from_str::<Approvals>(&text).unwrap(), book);
    }
}

#[test]
fn users_and_apps_are_counted_apart() {
    let (one, two) = (who("1"), who("2"));
    let mut book = Approvals::default();
    for n in 0..4 {
        let id = book.start(&name("main"), asked(&one), Stamp(n));
        book.give(id, &one, Stamp(n));
    }
    book.start(&name("other"), asked(&two), Stamp(9));
    let other_app = Asked { client_id: "other", ..asked(&one) };
    book.start(&name("third"), other_app, Stamp(9));
    let count = |asked| book.tally(asked, Stamp(10)).number;
    assert_eq!((count(asked(&one)), count(asked(&two)), count(other_app)), (4, 1, 1));
    // By name alone too, whatever its case, and by the short form of the id.
    let named = Who { id: None, name: Some("1@EXAMPLE.com".to_owned()) };
    let short = Who { id: Some(one.id.clone().unwrap()[..15].to_owned()), name: None };
    assert_eq!((count(asked(&named)), count(asked(&short))), (4, 4));
    // Of a user that is not known yet: that of the user who has the most.
    let nobody = Who::default();
    let tally = book.tally(asked(&nobody), Stamp(10));
    assert_eq!((tally.number, tally.user), (4, None));
    assert!(tally.note.unwrap().contains("`username`"));
    assert_eq!(Approvals::default().tally(asked(&nobody), Stamp(1)).number, 0);
}

#[test]
fn an_unknown_start_counts_for_everybody_until_it_is_known_whose_it_is() {
    let (one, two) = (who("1"), who("2"));
    let mut book = Approvals::default();
    let id = book.start(&name("main"), asked(&Who::default()), Stamp(1));
    let count = |book: &Approvals, who: &Who| book.tally(asked(who), Stamp(5)).number;
    assert_eq!((count(&book, &one), count(&book, &two)), (1, 1));
    book.give(id, &two, Stamp(2));
    assert_eq!((count(&book, &one), count(&book, &two)), (0, 1));
}

#[test]
fn the_oldest_is_named_and_unfinished_ones_make_room() {
    let user = who("1");
    let mut book = Approvals::default();
    let first = book.start(&name("first"), asked(&user), Stamp(10));
    let mut ids = Vec::new();
    for n in 1..5 {
        let id = book.start(&name(&format!("c{n}")), asked(&user), Stamp(10 + n));
        book.give(id, &user, Stamp(20 + n));
        ids.push(id);
    }
    let tally = book.tally(asked(&user), Stamp(30));
    assert_eq!((tally.number, tally.ours, tally.started), (5, 4, 1));
    assert_eq!(tally.oldest, Some(Victim { connection: None, since: Stamp(10) }));
    let sixth = book.start(&name("c6"), asked(&user), Stamp(40));
    let ended = |book: &Approvals, id| book.list().iter().find(|one| one.id == id).unwrap().ended;
    assert_eq!(ended(&book, first), Some((Stamp(40), End::PushedOut)));
    book.give(sixth, &user, Stamp(41));
    let tally = book.tally(asked(&user), Stamp(42));
    assert_eq!((tally.number, tally.oldest.unwrap().connection), (5, Some(name("c1"))));
    // Of connections none is given up for lost before Salesforce says so.
    book.start(&name("c7"), asked(&user), Stamp(50));
    assert_eq!(book.tally(asked(&user), Stamp(51)).number, 6);
    assert!(ids.iter().all(|id| ended(&book, *id).is_none()));
    assert_eq!(book.newer(ids[0]), 2, "the sixth and the seventh");
}

#[test]
fn a_census_says_which_app_it_means_or_asks() {
    let user = who("1");
    let mut book = Approvals::default();
    for n in 0..2 {
        let id = book.start(&name("main"), asked(&user), Stamp(n));
        book.give(id, &user, Stamp(n));
    }
    // Only one app has as many tokens as we hold.
    book.observe(census(&user, 100, &[("Data Loader", 1), ("kilofold", 3)]), &[asked(&user)]);
    let tally = book.tally(asked(&user), Stamp(101));
    assert_eq!((tally.number, tally.elsewhere), (3, 1));
    assert_eq!(tally.evidence, Evidence::Census { at: Stamp(100), app: "kilofold".to_owned() });
    // Two could be meant: nothing is guessed, and the user is asked.
    let unclear = census(&user, 200, &[("Data Loader", 2), ("kilofold", 3)]);
    book.observe(unclear.clone(), &[asked(&user)]);
    let tally = book.tally(Asked { declared: 2, ..asked(&user) }, Stamp(201));
    assert_eq!((tally.number, tally.evidence), (4, Evidence::Declared));
    assert!(tally.note.unwrap().contains("Data Loader, kilofold"));
    let named = Asked { app: Some("Kilofold"), ..asked(&user) };
    book.observe(unclear, &[named]);
    assert_eq!(book.tally(named, Stamp(201)).number, 3);
    // Unreadable: said, with the way out.
    let unread =
        Census { apps: Vec::new(), unread: Some("no right".to_owned()), ..census(&user, 300, &[]) };
    book.observe(unread, &[named]);
    let tally = book.tally(named, Stamp(301));
    assert_eq!((tally.number, tally.elsewhere), (2, 0));
    assert!(tally.note.unwrap().contains("approvals_elsewhere"));
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let user = who("1");
    let mut book = Approvals::default();
    let id = book.start(&name("main"), asked(&user), Stamp(0));
    book.end(id, End::Lost, Stamp(1));
    book.start(&name("main"), asked(&user), Stamp(2));
    assert_eq!(book.list().len(), 2);
    book.start(&name("main"), asked(&user), Stamp(REMEMBERED + 2));
    assert_eq!(book.list().len(), 2);
}

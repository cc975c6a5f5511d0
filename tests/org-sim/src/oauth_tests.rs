use proptest::prelude::*;

use super::*;

const SCOPE: &str = "api refresh_token";

fn auth(evict: Evict) -> Auth {
    Auth::new("00D000000000001EAA", &SimConfig { evict, ..SimConfig::default() })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn connect(auth: &mut Auth, second: i64) -> String {
    auth.grant_code("a@b.example", SCOPE, None, at(second)).refresh_token.unwrap()
}

#[test]
fn the_sixth_approval_ends_the_oldest_and_its_access_tokens() {
    let mut auth = auth(Evict::Oldest);
    let first = auth.grant_code("a@b.example", SCOPE, None, at(0));
    let tokens: Vec<String> = (1..5).map(|n| connect(&mut auth, n)).collect();
    assert!(auth.refresh(first.refresh_token.as_ref().unwrap(), false, at(9)).is_ok());
    connect(&mut auth, 10);
    assert!(auth.session(&first.session.token, at(10)).is_none());
    assert_eq!(
        auth.refresh(first.refresh_token.as_ref().unwrap(), false, at(11)).unwrap_err(),
        RefreshRefusal::Unknown
    );
    assert!(tokens.iter().all(|token| auth.refresh(token, false, at(12)).is_ok()));
}

#[test]
fn least_recently_used_spares_the_oldest_that_was_used() {
    let mut auth = auth(Evict::LeastRecentlyUsed);
    let tokens: Vec<String> = (0..5).map(|n| connect(&mut auth, n)).collect();
    auth.refresh(&tokens[0], false, at(9)).unwrap();
    connect(&mut auth, 10);
    assert!(auth.refresh(&tokens[0], false, at(11)).is_ok());
    assert!(auth.refresh(&tokens[1], false, at(11)).is_err());
}

#[test]
fn another_user_has_five_of_its_own() {
    let mut auth = auth(Evict::Oldest);
    let first = connect(&mut auth, 0);
    for n in 1..6 {
        auth.grant_code("other@b.example", SCOPE, None, at(n));
    }
    assert!(auth.refresh(&first, false, at(9)).is_ok());
    assert_eq!(auth.approvals().len(), 6);
}

#[test]
fn replaying_a_rotated_token_ends_the_family() {
    let mut auth = auth(Evict::Oldest);
    let old = connect(&mut auth, 0);
    let next = auth.refresh(&old, true, at(1)).unwrap();
    let newest = next.refresh_token.unwrap();
    assert_ne!(old, newest);
    assert_eq!(auth.refresh(&old, true, at(2)).unwrap_err(), RefreshRefusal::Replayed);
    assert_eq!(auth.refresh(&newest, true, at(3)).unwrap_err(), RefreshRefusal::Unknown);
    assert!(auth.session(&next.session.token, at(3)).is_none());
}

#[test]
fn codes_work_once_and_for_a_quarter_of_an_hour() {
    let mut auth = auth(Evict::Oldest);
    let request = AuthorizeRequest {
        redirect_uri: "http://127.0.0.1:1/cb".into(),
        scope: SCOPE.into(),
        state: None,
        challenge: None,
        started: None,
    };
    let code = auth.make_code(request.clone(), "a@b.example", at(0));
    assert!(auth.take_code(&code, at(900)).is_some());
    assert!(auth.take_code(&code, at(900)).is_none());
    let late = auth.make_code(request, "a@b.example", at(0));
    assert!(auth.take_code(&late, at(901)).is_none());
}

#[test]
fn a_consent_that_is_started_counts_from_then_on() {
    let mut auth = auth(Evict::Oldest);
    let first = connect(&mut auth, 0);
    for n in 1..4 {
        connect(&mut auth, n);
    }
    let started = auth.start("a@b.example", SCOPE, at(5));
    assert_eq!(auth.approvals().len(), 5);
    let granted = auth.grant_code("a@b.example", SCOPE, Some(started), at(6));
    assert_eq!(auth.approvals().len(), 5, "the same one");
    assert!(auth.refresh(granted.refresh_token.as_ref().unwrap(), false, at(7)).is_ok());
    assert!(auth.refresh(&first, false, at(7)).is_ok());
    // Abandoned, it pushes the oldest out all the same.
    auth.start("a@b.example", SCOPE, at(8));
    assert_eq!(auth.refresh(&first, false, at(9)).unwrap_err(), RefreshRefusal::Unknown);
    assert!(auth.approval_of("").is_none());
}

#[test]
fn other_apps_have_five_of_their_own() {
    let mut auth = auth(Evict::Oldest);
    let first = connect(&mut auth, 0);
    for n in 1..9 {
        auth.approve_elsewhere("a@b.example", Some("other"), at(n));
    }
    assert!(auth.refresh(&first, false, at(9)).is_ok());
    assert_eq!(auth.list(|one| one.app == "other").len(), 5);
    for n in 10..15 {
        auth.approve_elsewhere("a@b.example", None, at(n));
    }
    assert!(auth.refresh(&first, false, at(20)).is_err());
}

#[test]
fn what_was_lost_says_why_when_salesforce_does() {
    let mut auth = auth(Evict::Oldest);
    for (loss, refusal) in [
        (Loss::Revoked, RefreshRefusal::Unknown),
        (Loss::PasswordChanged, RefreshRefusal::Lost(Loss::PasswordChanged)),
        (Loss::UserDeactivated, RefreshRefusal::Lost(Loss::UserDeactivated)),
    ] {
        let token = connect(&mut auth, 0);
        assert_eq!(auth.lose(Some("a@b.example"), loss), 1);
        assert_eq!(auth.refresh(&token, true, at(1)).unwrap_err(), refusal);
    }
}

#[test]
fn policies_end_refresh_tokens() {
    let hour = Duration::from_secs(3600);
    for (policy, used, unused) in [
        (RefreshPolicy::Forever, true, true),
        (RefreshPolicy::Idle(hour), true, false),
        (RefreshPolicy::Life(hour), false, false),
    ] {
        let config = SimConfig { refresh_policy: policy, ..SimConfig::default() };
        let mut auth = Auth::new("00D000000000001EAA", &config);
        let (one, other) = (connect(&mut auth, 0), connect(&mut auth, 0));
        assert!(auth.refresh(&one, false, at(2000)).is_ok());
        assert_eq!(auth.refresh(&one, false, at(4000)).is_ok(), used, "{policy:?}");
        assert_eq!(auth.refresh(&other, false, at(4000)).is_ok(), unused, "{policy:?}");
    }
}

proptest! {
    /// Whatever users do, none has too many approvals, and what is left works while what is gone does not.
    #[test]
    fn approvals_stay_within_the_limit(
        steps in prop::collection::vec((0_u8..4, 0_usize..3, any::<prop::sample::Index>()), 1..80),
        lru in any::<bool>(),
        rotate in any::<bool>(),
    ) {
        let users = ["a@b.example", "c@d.example", "e@f.example"];
        let mut auth = auth(if lru { Evict::LeastRecentlyUsed } else { Evict::Oldest });
        let mut tokens: Vec<String> = Vec::new();
        for (second, (step, user, which)) in (0..).zip(steps) {
            let known = (!tokens.is_empty()).then(|| tokens[which.index(tokens.len())].clone());
            match (step, known) {
                (0, _) | (_, None) => {
                    let granted = auth.grant_code(users[user], SCOPE, None, at(second));
                    tokens.push(granted.refresh_token.unwrap());
                }
                (3, Some(token)) => {
                    let alive = auth.approval_of(&token).is_some();
                    prop_assert_eq!(auth.revoke(&token), alive);
                }
                (_, Some(token)) => {
                    let alive = auth.approval_of(&token).is_some();
                    let granted = auth.refresh(&token, rotate, at(second));
                    prop_assert_eq!(granted.is_ok(), alive);
                    tokens.extend(granted.ok().and_then(|granted| granted.refresh_token));
                }
            }
            for user in users {
                prop_assert!(auth.approvals.iter().filter(|approval| approval.user == user).count() <= 5);
            }
            for session in auth.sessions.values() {
                prop_assert!(auth.approvals.iter().any(|approval| Some(approval.id) == session.approval));
            }
        }
    }
}

#[test]
fn access_tokens_expire_and_direct_grants_repeat_the_valid_one() {
    let mut auth = auth(Evict::Oldest);
    let one = auth.grant_direct("a@b.example", "api", at(0));
    assert_eq!(auth.grant_direct("a@b.example", "api", at(10)).token, one.token);
    assert!(auth.session(&one.token, at(7_199)).is_some());
    assert!(auth.session(&one.token, at(7_200)).is_none());
    assert_ne!(auth.grant_direct("a@b.example", "api", at(7_200)).token, one.token);
}

//! Why a connection was probably lost. Salesforce gives one text for many reasons, so what we know ourselves decides.

use std::time::Duration;

use super::Refusal;
use super::approvals::{MOST, Tally, Victim, WARN};

/// After so long without use a token policy of the app is the likeliest reason.
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is known around a refusal.
#[derive(Debug)]
pub struct Clues<'a> {
    /// Salesforce's words.
    pub refusal: &'a Refusal,
    /// Approvals of the same app and user that were started after this connection's.
    pub newer: usize,
    /// The approvals that were known when it was refused, this one included.
    pub tally: &'a Tally,
    /// Whether an earlier refresh of the same token was sent whose answer never came.
    pub unanswered: bool,
    /// How long ago the connection last got a token.
    pub idle: Duration,
}

/// The probable cause in a plain sentence.
pub fn probable(clues: &Clues<'_>) -> String {
    let words = clues.refusal.message.to_ascii_lowercase();
    if clues.refusal.code == "inactive_user" || words.contains("user is inactive") {
        return "The user was deactivated in Salesforce.".to_owned();
    }
    if words.contains("authentication failure") || words.contains("password") {
        return "The user's password was changed or has expired, or the user is locked.".to_owned();
    }
    if clues.unanswered {
        return "Probably rotation: the answer to an earlier refresh never arrived, because kilofold or the network \
                broke off, and with it went the token that had replaced this one."
            .to_owned();
    }
    if clues.newer >= MOST {
        return format!(
            "Probably the five-connection rule: {} approvals of this app by the same user were started after this \
             one, and Salesforce keeps five.",
            clues.newer
        );
    }
    if clues.tally.number > MOST {
        return format!(
            "Probably the five-connection rule: {} approvals of this app by the same user are known ({}), and \
             Salesforce keeps five.",
            clues.tally.number,
            parts(clues.tally)
        );
    }
    if clues.idle >= IDLE {
        return format!(
            "Probably the app's refresh token policy: the connection was not used for {} days.",
            clues.idle.as_secs() / 86_400
        );
    }
    if clues.tally.number == MOST {
        return "Perhaps the five-connection rule: all five approvals of this app by this user are in use, and one more \
                elsewhere ends the oldest. Otherwise it was revoked in Salesforce, by an administrator or by the app's \
                refresh token policy."
            .to_owned();
    }
    "It was revoked in Salesforce: by an administrator or the user, by the app's refresh token policy, by a changed \
     password or app secret, or by approvals elsewhere that kilofold does not know of (five-connection rule)."
        .to_owned()
}

/// What a number of approvals is made of: `3 of kilofold's, 1 started, 2 elsewhere`.
pub fn parts(tally: &Tally) -> String {
    let part = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
    let parts = [
        part(tally.ours, "of kilofold's connections"),
        part(tally.started, "started and never finished"),
        part(tally.elsewhere, "elsewhere"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What another approval beyond five would cost.
pub fn price(tally: &Tally) -> String {
    let day = |at: crate::model::Stamp| at.to_string().chars().take(10).collect::<String>();
    let victim = match &tally.oldest {
        Some(Victim { connection: Some(name), since }) => {
            format!("probably that of '{name}', the oldest of kilofold's, given {}", day(*since))
        }
        Some(Victim { connection: None, since }) => format!(
            "probably the oldest, which was started {} and never finished, so that nothing would be lost",
            day(*since)
        ),
        None => "one that another program holds".to_owned(),
    };
    let used = tally.least_used.map_or_else(String::new, |at| {
        format!(" (if it goes by use, the one that was last used {})", day(at))
    });
    format!(
        "known are {}. Salesforce keeps five and ends one without a word: {victim}{used}",
        parts(tally)
    )
}

/// A warning when few approvals are left; `number` is the one that is asked for.
pub fn warning(number: usize, tally: &Tally) -> Option<String> {
    if number < WARN {
        return None;
    }
    let user = tally.user.as_ref().map_or_else(String::new, |user| format!(" by {user}"));
    if number > MOST {
        return Some(format!("This is approval {number} of this app{user}; {}.", price(tally)));
    }
    Some(format!(
        "This is approval {number} of the {MOST} that Salesforce keeps of this app{user}."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::approvals::Evidence;
    use super::*;

    #[test]
    fn what_is_known_decides() {
        let tally = |ours: usize, elsewhere: usize| Tally {
            user: None,
            number: ours + elsewhere,
            ours,
            started: 0,
            elsewhere,
            evidence: Evidence::Declared,
            oldest: None,
            least_used: None,
            note: None,
        };
        let expired = Refusal {
            status: 400,
            code: "invalid_grant".to_owned(),
            message: "expired access/refresh token".to_owned(),
        };
        let failure = Refusal { message: "authentication failure".to_owned(), ..expired.clone() };
        let inactive = Refusal { code: "inactive_user".to_owned(), ..expired.clone() };
        let days = |days: u64| Duration::from_secs(days * 86_400);
        for (refusal, newer, tally, unanswered, idle, word) in [
            (&inactive, 9, tally(6, 0), true, days(90), "deactivated"),
            (&failure, 9, tally(6, 0), true, days(90), "password"),
            (&expired, 9, tally(6, 0), true, days(90), "rotation"),
            (
                &expired,
                5,
                tally(5, 0),
                false,
                days(1),
                "5 approvals of this app by the same user were",
            ),
            (&expired, 0, tally(4, 2), false, days(1), "4 of kilofold's connections, 2 elsewhere"),
            (&expired, 0, tally(1, 0), false, days(45), "not used for 45 days"),
            (&expired, 0, tally(3, 2), false, days(1), "Perhaps the five-connection rule"),
            (&expired, 0, tally(1, 0), false, days(1), "revoked in Salesforce"),
        ] {
            let clues = Clues { refusal, newer, tally: &tally, unanswered, idle };
            let cause = probable(&clues);
            assert!(cause.contains(word), "{word}: {cause}");
        }
        assert_eq!(warning(3, &tally(2, 0)), None);
        assert!(warning(4, &tally(3, 0)).unwrap().contains("approval 4 of the 5"));
        assert!(warning(6, &tally(4, 1)).unwrap().contains("one that another program holds"));
    }
}

//! `kilofold connections`: how the configured connections stand; asks the org only with `--ask`.

use clap::Args as ClapArgs;

use super::out::{Out, wrapped};
use super::sheet::{Cell, Column, Look, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::Stamp;
use crate::web::text::{about, moment};
use crate::web::view::{Approvals, Connection, Connections};

/// Lists the connections, how they stand, and how many of the five approvals are in use.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Reads Salesforce's own list of approvals first, for one API call a user
    #[arg(long)]
    ask: bool,
}

/// Lists connections.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let found = if args.ask { source.census().await? } else { source.connections().await? };
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let now = Stamp::now();
    out.sheet(&sheet(&found, now), "No connection is configured.")?;
    for line in more(&found, now, &out.look) {
        out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn sheet(found: &Connections, now: Stamp) -> Sheet {
    let mut sheet = Sheet::new(&[
        Column::giving("connection"),
        Column::giving("user"),
        Column::giving("org"),
        Column::text("grant"),
        Column::number("age"),
        Column::number("used"),
        Column::number("appr."),
        Column::text("health"),
    ]);
    let ago = |at: Option<Stamp>| at.map_or("-".to_owned(), |at| about(now.since(at)));
    for connection in &found.connections {
        sheet.row(vec![
            connection.name.as_str().into(),
            connection.user.as_deref().unwrap_or("-").into(),
            connection.org.as_deref().unwrap_or("-").into(),
            short(&connection.grant).into(),
            ago(connection.authorised).into(),
            ago(connection.last_used).into(),
            approvals(connection.approvals.as_ref()),
            health(connection),
        ]);
    }
    sheet
}

fn short(grant: &str) -> &str {
    match grant {
        "authorization-code" => "code",
        "client-credentials" => "secret",
        "jwt-bearer" => "jwt",
        other => other,
    }
}

fn approvals(approvals: Option<&Approvals>) -> Cell {
    let Some(approvals) = approvals else { return Cell::new("-", Paint::Dim) };
    let paint = match approvals.number {
        0..4 => Paint::Plain,
        4 => Paint::Warn,
        _ => Paint::Bad,
    };
    Cell::new(&format!("{}/{}", approvals.number, approvals.most), paint)
}

fn health(connection: &Connection) -> Cell {
    match connection.state.as_str() {
        "healthy" => Cell::new("healthy", Paint::Good),
        "not connected" => Cell::new("not connected", Paint::Wait),
        "reconnect needed" => Cell::new("reconnect", Paint::Bad),
        other => Cell::new(other, Paint::Bad),
    }
}

/// What the table has no room for: why a connection is not healthy, what to do, and how the approvals are known.
fn more(found: &Connections, now: Stamp, look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for connection in &found.connections {
        let mut own = Vec::new();
        own.extend(connection.why.as_ref().map(|why| ("why", why.clone())));
        own.extend(connection.again.map(|at| {
            let at = moment(at, now, &jiff::tz::TimeZone::system());
            ("again", format!("it is tried again at {at}"))
        }));
        own.extend(connection.to_do.as_ref().map(|to_do| ("to do", to_do.clone())));
        if let Some(approvals) = &connection.approvals {
            own.extend(counted(approvals, now).map(|words| ("approvals", words)));
            own.extend(approvals.note.as_ref().map(|note| ("note", note.clone())));
        }
        if !own.is_empty() {
            lines.push(String::new());
            lines.push(connection.name.to_string());
            lines.extend(own.iter().flat_map(|(name, text)| beside(name, text, look.width)));
        }
    }
    lines
}

/// What the approvals are made of, when there is more to say than that they are ours.
fn counted(approvals: &Approvals, now: Stamp) -> Option<String> {
    let part = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
    let parts: Vec<String> = [
        part(approvals.ours, "of kilofold's connections"),
        part(approvals.started, "started and never finished"),
        part(approvals.elsewhere, "elsewhere"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let source = match (approvals.evidence.as_str(), approvals.counted_at) {
        ("census", Some(at)) => format!(
            " (Salesforce's list, {} ago{})",
            about(now.since(at)),
            approvals.app.as_ref().map_or_else(String::new, |app| format!(", app {app}"))
        ),
        ("declared", _) => " (those elsewhere as declared)".to_owned(),
        _ => String::new(),
    };
    let more = approvals.started + approvals.elsewhere > 0 || !source.is_empty();
    (more && !parts.is_empty()).then(|| format!("{}{source}", parts.join(", ")))
}

/// A name and a text beside it, broken between words.
fn beside(name: &str, text: &str, width: u16) -> Vec<String> {
    const INDENT: usize = 12;
    let room = usize::from(width.max(40)) - INDENT;
    let lines = wrapped(&crate::web::text::plain(text), room);
    let head = |at: usize| if at == 0 { name } else { "" };
    lines.iter().enumerate().map(|(at, line)| format!("  {:<9} {line}", head(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectionName;

    fn connection(name: &str, state: &str) -> Connection {
        Connection {
            name: ConnectionName::new(name).unwrap(),
            grant: "authorization-code".to_owned(),
            user: Some("integration@kilofold.example".to_owned()),
            org: Some("00D5e000000H2zqEAC".to_owned()),
            state: state.to_owned(),
            why: None,
            to_do: None,
            again: None,
            authorised: Some(Stamp(1_000_000_000)),
            renewed: None,
            last_used: Some(Stamp(4_000_000_000)),
            runs: 0,
            syncs: Vec::new(),
            approvals: Some(Approvals {
                number: 5,
                most: 5,
                ours: 2,
                started: 1,
                elsewhere: 2,
                evidence: "census".to_owned(),
                counted_at: Some(Stamp(3_990_000_000)),
                app: Some("kilofold".to_owned()),
                victim: None,
                note: None,
            }),
        }
    }

    #[test]
    fn fits_eighty_columns() {
        let mut lost = connection("second-integration", "reconnect needed");
        lost.why = Some("expired access/refresh token. Probably the five-connection rule: 6 approvals of this app by the same user were started after this one, and Salesforce keeps five.".to_owned());
        lost.to_do = Some("run `kilofold connect second-integration`, or connect it on the page; its syncs then go on by themselves".to_owned());
        let mut machine = connection("machine", "healthy");
        (machine.grant, machine.approvals) = ("client-credentials".to_owned(), None);
        let found = Connections {
            connections: vec![connection("main", "healthy"), lost, machine],
            org: None,
        };
        let look = Look { width: 80, colour: false };
        let now = Stamp(4_000_100_000);
        let table = sheet(&found, now).render(&look);
        let more = more(&found, now, &look).join("\n");
        for line in table.lines().chain(more.lines()) {
            assert!(console::measure_text_width(line) <= 80, "{line}");
        }
        insta::assert_snapshot!(format!("{table}\n{more}"), @r"
        connection       user            org             grant  age used appr. health
        ────────────────────────────────────────────────────────────────────────────────
        main             integration@ki… 00D5e000000H2z… code   34d   1m   5/5 healthy
        second-integrat… integration@ki… 00D5e000000H2z… code   34d   1m   5/5 reconnect
        machine          integration@ki… 00D5e000000H2z… secret 34d   1m     - healthy

        main
          approvals 2 of kilofold's connections, 1 started and never finished, 2
                    elsewhere (Salesforce's list, 2h ago, app kilofold)

        second-integration
          why       expired access/refresh token. Probably the five-connection rule: 6
                    approvals of this app by the same user were started after this one,
                    and Salesforce keeps five.
          to do     run `kilofold connect second-integration`, or connect it on the
                    page; its syncs then go on by themselves
          approvals 2 of kilofold's connections, 1 started and never finished, 2
                    elsewhere (Salesforce's list, 2h ago, app kilofold)
        ");
    }
}

//! `kilofold connections`: how the configured connections stand, without asking the org.

use super::out::Out;
use super::sheet::{Cell, Column, Paint, Sheet};
use super::source::Source;
use super::{Failure, Globals};
use crate::error::Exit;
use crate::model::Stamp;
use crate::web::text::about;

/// Lists connections.
pub async fn run(globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let source = Source::open(globals).await?;
    let found = source.connections().await?;
    if out.json {
        out.value(&found)?;
        return Ok(Exit::Done);
    }
    let mut sheet = Sheet::new(&[
        Column::giving("connection"),
        Column::text("grant"),
        Column::text("state"),
        Column::giving("user"),
        Column::text("org"),
        Column::number("used"),
    ]);
    let now = Stamp::now();
    for connection in &found.connections {
        let paint = if connection.state == "healthy" { Paint::Good } else { Paint::Bad };
        sheet.row(vec![
            connection.name.as_str().into(),
            connection.grant.as_str().into(),
            Cell::new(&connection.state, paint),
            connection.user.as_deref().unwrap_or("-").into(),
            connection.org.as_deref().unwrap_or("-").into(),
            connection.last_used.map_or("-".to_owned(), |at| about(now.since(at))).into(),
        ]);
    }
    out.sheet(&sheet, "No connection is configured.")?;
    for connection in &found.connections {
        if let Some(why) = &connection.why {
            out.pair(connection.name.as_str(), why)?;
            out.pair("to do", &format!("kilofold connect {}", connection.name))?;
        }
    }
    Ok(Exit::Done)
}

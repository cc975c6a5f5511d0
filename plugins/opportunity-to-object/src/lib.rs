//! Opportunities as objects, each with a relationship to its account.

use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Opportunity<'a> {
    id: Id<'a>,
    name: &'a str,
    account_id: Option<Id<'a>>,
    stage_name: Option<&'a str>,
    amount: Option<Number<'a>>,
    probability: Option<Number<'a>>,
    close_date: Option<Date>,
    r#type: Option<&'a str>,
    next_step: Option<&'a str>,
    lead_source: Option<&'a str>,
    is_closed: bool,
    is_won: bool,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    created_date: DateTime,
    last_modified_date: DateTime,
}

#[derive(Output)]
#[kind("object")]
struct Deal<'a> {
    #[key]
    id: Id<'a>,
    object_type: &'a str,
    name: &'a str,
    stage: Option<&'a str>,
    amount: Option<Number<'a>>,
    probability: Option<Number<'a>>,
    close_date: Date,
    category: Option<&'a str>,
    next_step: Option<&'a str>,
    source: Option<&'a str>,
    status: &'a str,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    created_at: DateTime,
    updated_at: DateTime,
}

fn map(deal: Opportunity<'_>) -> Result<(Deal<'_>, Option<Relationship<'_>>), Reject> {
    let close_date = deal.close_date.ok_or_else(|| {
        Reject::new("close_date.missing", "the opportunity has no close date").field("CloseDate")
    })?;
    let link = deal.account_id.map(|account| Relationship::new(deal.id, "account", account));
    let deal = Deal {
        id: deal.id,
        object_type: "opportunity",
        name: deal.name,
        stage: deal.stage_name,
        amount: deal.amount,
        probability: deal.probability,
        close_date,
        category: deal.r#type,
        next_step: deal.next_step,
        source: deal.lead_source,
        status: match (deal.is_won, deal.is_closed) {
            (true, _) => "won",
            (false, true) => "lost",
            (false, false) => "open",
        },
        owner_id: deal.owner_id,
        description: deal.description,
        created_at: deal.created_date,
        updated_at: deal.last_modified_date,
    };
    Ok((deal, link))
}

mapper!(Opportunity => (Deal, Option<Relationship>), map, objects: ["Opportunity"]);

#[cfg(test)]
mod tests;

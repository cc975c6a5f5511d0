//! Tasks as events, with whom and what they are about.

use kilofold_plugin::prelude::*;
use kilofold_plugin::{event_key, kind_of};

#[derive(Record)]
struct Task<'a> {
    id: Id<'a>,
    subject: Option<&'a str>,
    task_subtype: Option<&'a str>,
    status: Option<&'a str>,
    priority: Option<&'a str>,
    activity_date: Option<Date>,
    completed_date_time: Option<DateTime>,
    who_id: Option<Id<'a>>,
    what_id: Option<Id<'a>>,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    call_type: Option<&'a str>,
    call_duration_in_seconds: Option<i64>,
    is_closed: bool,
    created_date: DateTime,
    last_modified_date: DateTime,
}

#[derive(Output)]
#[kind("event")]
struct Event<'a> {
    #[key]
    key: String,
    event_type: &'a str,
    task_id: Id<'a>,
    subject: Option<&'a str>,
    status: Option<&'a str>,
    priority: Option<&'a str>,
    occurred_at: DateTime,
    due: Option<Date>,
    done: bool,
    who_kind: Option<&'a str>,
    who_key: Option<Id<'a>>,
    what_kind: Option<&'a str>,
    what_key: Option<Id<'a>>,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    direction: Option<&'a str>,
    seconds: Option<i64>,
    updated_at: DateTime,
}

fn map(task: Task<'_>) -> Result<Event<'_>, Reject> {
    if task.call_duration_in_seconds.is_some_and(|it| it < 0) {
        let message = "the call's duration is below zero";
        return Err(Reject::new("duration.negative", message).field("CallDurationInSeconds"));
    }
    Ok(Event {
        key: event_key("task", task.id),
        event_type: match task.task_subtype {
            Some("Call") => "call",
            Some("Email") => "email",
            _ => "task",
        },
        task_id: task.id,
        subject: task.subject,
        status: task.status,
        priority: task.priority,
        occurred_at: task.completed_date_time.unwrap_or(task.created_date),
        due: task.activity_date,
        done: task.is_closed,
        who_kind: task.who_id.map(kind_of),
        who_key: task.who_id,
        what_kind: task.what_id.map(kind_of),
        what_key: task.what_id,
        owner_id: task.owner_id,
        description: task.description,
        direction: task.call_type,
        seconds: task.call_duration_in_seconds,
        updated_at: task.last_modified_date,
    })
}

mapper!(Task => Event, map, objects: ["Task"]);

#[cfg(test)]
mod tests;

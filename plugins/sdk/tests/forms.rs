//! Every form of a mapping, run natively.

use std::borrow::Cow;

use kilofold_plugin::testing::{Outcome, Run, json};
use kilofold_plugin::{Level, Mapper};

mod several {
    use kilofold_plugin::prelude::*;

    #[derive(Record)]
    #[allow(non_snake_case, reason = "Salesforce's spelling")]
    struct Ticket<'a> {
        id: &'a str,
        kind__c: &'a str,
        tags__c: Option<MultiPicklist<'a>>,
        size: Option<i64>,
    }

    #[derive(Output)]
    #[kind("tag")]
    struct Tag<'a> {
        #[key]
        key: String,
        name: &'a str,
    }

    #[derive(Output)]
    #[kind("ticket")]
    struct Made<'a> {
        #[key]
        id: &'a str,
        #[field("allTags")]
        tags: Option<MultiPicklist<'a>>,
        size: Option<i64>,
    }

    #[derive(Outputs)]
    enum Any<'a> {
        Ticket(Made<'a>),
        Tags(Vec<Tag<'a>>),
    }

    fn map(ticket: Ticket<'_>) -> Result<(Any<'_>, Option<Tag<'_>>), Reject> {
        let extra = (ticket.size == Some(0)).then(|| Tag { key: String::new(), name: "no key" });
        let any = match ticket.kind__c {
            "ticket" => {
                Any::Ticket(Made { id: ticket.id, tags: ticket.tags__c, size: ticket.size })
            }
            _ => {
                let tag = |name| Tag { key: format!("{}/{name}", ticket.id), name };
                Any::Tags(ticket.tags__c.iter().flat_map(MultiPicklist::iter).map(tag).collect())
            }
        };
        Ok((any, extra))
    }

    mapper!(Ticket => (Any, Option<Tag>), map, name: "several", version: "9", summary: "s", objects: ["Ticket__c"]);
}

mod whole {
    use kilofold_plugin::prelude::*;

    #[derive(Record)]
    struct Line {
        id: String,
        owner_id: String,
    }

    #[derive(Output)]
    #[kind("line")]
    struct Joined {
        #[key]
        id: String,
        owner: Option<String>,
        sync: String,
        year: u32,
        home: String,
    }

    #[derive(Settings)]
    struct Config {
        /// Where it is at home.
        #[setting(default = "eu", choices("eu", "us"))]
        home: String,
        #[setting(default = 2)]
        least: i64,
        token: Option<Secret>,
    }

    fn map(lines: Vec<Line>, config: &Config, context: &Context) -> Vec<Result<Joined, Reject>> {
        let keys: Vec<&str> = lines.iter().map(|line| line.owner_id.as_str()).collect();
        let owners = lookup("person", &keys);
        kilofold_plugin::warn!(
            "{} lines, at least {}, {:?}",
            lines.len(),
            config.least,
            config.token
        );
        let join = |(line, owner): (Line, Option<String>)| {
            let owner = owner.or_reject("owner.unknown", "there is no such person")?;
            let year = u32::from(context.read_at.date().year());
            Ok(Joined {
                id: line.id,
                owner: Some(owner),
                sync: context.sync.clone(),
                year,
                home: config.home.clone(),
            })
        };
        lines.into_iter().zip(owners).map(join).collect()
    }

    mapper!([Line] => Joined, map, settings: Config, context, maps_deletions);
}

#[test]
fn makes_several_outputs_of_several_kinds() {
    let outcomes = Run::<several::Plugin>::new().map(
        r#"[{"Id": "1", "Kind__c": "ticket", "Tags__c": "a;ü", "Size": 12.0},
            {"Id": "2", "Kind__c": "tags", "Tags__c": "a;ü"},
            {"Id": "3", "Kind__c": "tags", "Tags__c": null},
            {"Id": "4", "Kind__c": "ticket", "Size": 0},
            {"Id": "5", "Kind__c": "ticket", "Size": 1.5},
            {"Id": "6", "Kind__c": "ticket", "Tags__c": 7}]"#,
    );
    assert_eq!(outcomes[0].body("ticket"), json!({"allTags": ["a", "ü"], "size": 12}));
    let tags: Vec<_> =
        outcomes[1].made("tag").iter().map(|made| (made.key.as_str(), made.body.clone())).collect();
    assert_eq!(tags, [("2/a", json!({"name": "a"})), ("2/ü", json!({"name": "ü"}))]);
    assert_eq!(outcomes[2], Outcome::Skipped("the mapping made no output".to_owned()));
    // The ticket that was already made is taken back with the tag that has no key.
    assert_eq!(outcomes[3].code(), Some("output.key"));
    let Outcome::Failed { message, field, .. } = &outcomes[4] else { panic!("{:?}", outcomes[4]) };
    assert_eq!(message, "Size must be a whole number that fits i64, but is the number \"1.5\"");
    assert_eq!(field.as_deref(), Some("Size"));
    assert_eq!(outcomes[5].code(), Some("field.type"));
}

#[test]
fn describes_what_the_structs_say() {
    let description = several::Plugin::describe().unwrap();
    let reads: Vec<_> =
        description.reads.iter().map(|field| (field.name, field.required)).collect();
    assert_eq!(reads, [("Id", true), ("Kind__c", true), ("Tags__c", false), ("Size", false)]);
    let kinds: Vec<_> = description.outputs.iter().map(|kind| (kind.name, kind.fields)).collect();
    assert_eq!(kinds, [("ticket", &["allTags", "size"][..]), ("tag", &["name"][..])]);
    assert_eq!((description.name, description.version, description.summary), ("several", "9", "s"));
    assert!(!description.maps_deletions && whole::Plugin::describe().unwrap().maps_deletions);
}

#[test]
fn takes_a_whole_batch_with_settings_context_and_joins() {
    let run = Run::<whole::Plugin>::new()
        .settings(json!({"home": "us", "token": "hidden"}))
        .object("Line__c")
        .stored("person", "p1", &json!({"name": "Ada"}));
    let outcomes =
        run.map(r#"[{"Id": "1", "OwnerId": "p1"}, {"Id": "2"}, {"Id": "3", "OwnerId": "p2"}]"#);
    let body =
        json!({"owner": "{\"name\":\"Ada\"}", "sync": "line__c", "year": 2026, "home": "us"});
    assert_eq!(outcomes[0].body("line"), body);
    assert_eq!(
        (outcomes[1].code(), outcomes[2].code()),
        (Some("field.missing"), Some("owner.unknown"))
    );
    assert_eq!(run.logs(), [(Level::Warn, "2 lines, at least 2, Some(***)".to_owned())]);
}

#[test]
fn says_all_that_is_wrong_with_settings() {
    let run =
        Run::<whole::Plugin>::new().settings(json!({"home": "mars", "least": "2", "tokn": 1}));
    let problems: Vec<_> = run.problems().into_iter().map(|it| (it.setting, it.message)).collect();
    let expect = [
        ("tokn", "there is no such setting; there are: home, least, token"),
        ("home", "must be one of: eu, us"),
        ("least", "must be a whole number"),
    ];
    assert_eq!(problems, expect.map(|(setting, message)| (setting.to_owned(), message.to_owned())));
    assert!(Run::<whole::Plugin>::new().problems().is_empty());
    assert_eq!(Run::<several::Plugin>::new().settings(json!({"a": 1})).problems().len(), 1);
}

#[test]
fn hands_on_by_reference_what_lies_in_the_batch() {
    use kilofold_plugin::{Batch, Context, DateTime, Kinds, Output, ToCell};

    struct Two<'a>(&'a str, Cow<'a, str>);
    impl Output for Two<'_> {
        const KIND: &'static str = "two";
        const FIELDS: &'static [&'static str] = &["a"];
        fn key(&self) -> &str {
            self.0
        }
        fn cells(&self, cells: &mut kilofold_plugin::Cells<'_, '_>) {
            self.1.to_cell(cells);
        }
    }
    let context = Context {
        object: String::new(),
        sync: String::new(),
        run: String::new(),
        batch: 0,
        read_at: DateTime::from_millis(0).unwrap(),
        fields: vec!["Name".to_owned()],
    };
    let text = String::from("Ünïcode");
    let cells = [(text.len() as u32) << 3 | 1];
    let batch = Batch::new(&context, 1, &text, &cells);
    let mut kinds = Kinds::default();
    kinds.add(Two::KIND, Two::FIELDS);
    let mut out = kilofold_plugin::Outcomes::new(&batch, kinds);
    out.push(&Two(&text[2..3], Cow::Borrowed(&text[3..])));
    out.push(&Two("n", Cow::Owned(text.clone())));
    let (_, rows, own, cells) = out.into_parts();
    let at = own.len() - 10;
    assert_eq!((rows.len(), &own[at..]), (2, "nÜnïcode"));
    let cell = |start: usize, length: u64, bits: u64| (start as u64) << 32 | length << 4 | bits;
    assert_eq!(cells, [cell(2, 1, 9), cell(3, 6, 9), cell(at, 1, 1), cell(at + 1, 9, 1)]);
}

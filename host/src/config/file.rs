//! `kilofold.toml` as it is written: every key optional, nothing interpreted, each value with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place, in bytes.
    pub span: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A value that may be absent.
pub type Key<T> = Option<At<T>>;

/// The whole file.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "kilofold.toml", deny_unknown_fields)]
pub struct File {
    /// The Salesforce organisation.
    pub org: Option<Org>,
    /// Authorisations of integration users; syncs name one.
    #[schemars(default)]
    pub connection: Vec<At<Connection>>,
    /// How many API calls kilofold may spend.
    pub quota: Option<Quota>,
    /// Where the data is kept.
    pub store: Option<Store>,
    /// How long history is kept.
    pub keep: Option<Keep>,
    /// The page and the API.
    pub web: Option<Web>,
    /// Where plugins are, and what one may use.
    pub plugins: Option<Plugins>,
    /// Values for every sync that does not say otherwise.
    pub defaults: Option<Defaults>,
    /// What is pulled: one entry an object.
    #[schemars(default)]
    pub sync: Vec<At<Sync>>,
    /// Where changes are sent to by themselves: one entry a destination.
    #[schemars(default)]
    pub deliver: Vec<At<Deliver>>,
    /// Where is told what a person must know.
    pub alerts: Option<Alerts>,
    /// Where traces of runs are sent to.
    pub telemetry: Option<Telemetry>,
}

/// The Salesforce organisation.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Org {
    /// Where users log in: "production", "sandbox", or the org's own address (https://my-domain.my.salesforce.com).
    pub login: Key<String>,
    /// The REST API version; "v62.0" when left out.
    pub api_version: Key<String>,
    /// Further hosts that may see credentials, beside Salesforce's own, for example ["proxy.example.com"]. Only over https.
    pub allowed_hosts: Key<Vec<At<String>>>,
    /// The org's edition, so that its daily API calls are known before Salesforce has told: "developer", "professional",
    /// "enterprise", "unlimited", "performance" or "full-sandbox".
    pub edition: Key<String>,
    /// How many licences the org has, by kind, for example { salesforce = 50, platform = 10 }; each adds daily API calls.
    #[schemars(with = "Option<BTreeMap<String, u64>>")]
    pub licences: Key<BTreeMap<String, At<i64>>>,
    /// Daily API calls that were bought besides; 0 when left out.
    pub extra_calls: Key<i64>,
    /// How long an object's description is used before Salesforce is asked whether it has changed; "6h" when left out.
    pub describe_age: Key<String>,
}

/// One authorisation of one integration user.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its name, which syncs use; "main" when left out.
    pub name: Key<String>,
    /// How it is authorised: "code" (a person approves once in the browser), "jwt" or "client-credentials".
    pub grant: Key<GrantKind>,
    /// The consumer key of the connected app.
    pub client_id: Key<String>,
    /// Where the consumer secret is: { env = "NAME" } or { file = "path" }. Never the secret itself.
    pub client_secret: Key<SecretRef>,
    /// For "jwt": where the private key (PEM) is: { env = "NAME" } or { file = "path" }.
    pub private_key: Key<SecretRef>,
    /// The user name of the integration user. For "code" it may be left out; with it nobody else can approve by mistake.
    pub username: Key<String>,
    /// For "code": the port of the connected app's callback URL, http://localhost:PORT/callback; when left out, that URL is http://localhost:4350/connections/callback, with the port of [web].
    pub redirect_port: Key<i64>,
    /// For "code": the connected app's label, by which its approvals are found in Salesforce's list; recognised when only one can be meant.
    pub app: Key<String>,
    /// For "code": approvals of the same app and user that other programs hold, which kilofold cannot see; 0 when left out.
    pub approvals_elsewhere: Key<i64>,
}

/// How a connection is authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantKind {
    /// A person approves once in the browser; kilofold keeps a refresh token.
    Code,
    /// A signed assertion with a private key; needs no browser and counts no approval.
    Jwt,
    /// The connected app's own secret, with its run-as user; needs the org's own address as login.
    ClientCredentials,
}

/// How many API calls kilofold may spend.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Calls in 24 hours, as a number (5000) or a share of the org's day ("50%"); no bound of its own when left out.
    pub allowance: Key<NumberOrText>,
    /// Calls of the org's day that must stay free for other applications; 0 when left out.
    pub reserve: Key<i64>,
    /// Calls that one run may spend; no bound when left out.
    pub per_run: Key<i64>,
    /// Calls in 24 hours that first passes over an object may spend, as a number or a share of the allowance, so that they
    /// do not starve the regular runs; "50%" when left out. Half of it is kept for them while there is a first pass, the other half they have when nothing that regular runs are expected to need is touched by it.
    pub backfill: Key<NumberOrText>,
    /// How long the sums of calls by the hour are kept, for forecasts; "35d" when left out.
    pub history: Key<String>,
}

/// Where the data is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The folder of the store, relative to this file; "kilofold.data" when left out.
    pub path: Key<String>,
    /// Whether records are kept as Salesforce sent them, compressed; true when left out.
    pub keep_raw: Key<bool>,
    /// Memory for what was read from the store and may be read again; "32 MiB" when left out.
    pub cache: Key<NumberOrText>,
    /// How hard raw records are compressed, from 1 (quick) to 19 (small); 1 when left out.
    pub compression: Key<i64>,
    /// Where the key is that seals tokens at rest: { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }, for example one that asks the system's keyring; a file beside the store when left out.
    pub key: Key<SecretRef>,
}

/// How long history is kept. Records and outputs themselves are kept always.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// How long the feed's changes are kept; "30d" when left out.
    pub feed: Key<String>,
    /// How many of the feed's changes are kept at most; 10000000 when left out.
    pub feed_entries: Key<i64>,
    /// How long changes are kept for a consumer that has not acknowledged them; "90d" when left out.
    pub feed_for_consumers: Key<String>,
    /// A consumer that was not heard of for so long holds nothing back; "7d" when left out.
    pub consumer_quiet: Key<String>,
    /// How long the notes of an import's pages are kept; "30d" when left out.
    pub pages: Key<String>,
    /// How long an import's failures are kept; "90d" when left out. A record that stands as failed is kept always.
    pub failures: Key<String>,
    /// How long imports are kept; "400d" when left out. The newest 50 of a sync are kept always.
    pub runs: Key<String>,
}

/// The page and the API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address and port; "127.0.0.1:4350" when left out. Any other than loopback wants a token or a password.
    pub listen: Key<String>,
    /// Where the token is that programs must send, and may then do everything with: { env = "NAME" } or { file = "path" }.
    pub token: Key<SecretRef>,
    /// Where a token is that lets programs read only.
    pub view_token: Key<SecretRef>,
    /// Where the hash of the password is that lets people do everything; `kilofold password` makes it.
    pub password: Key<SecretRef>,
    /// Where the hash of a password is that lets people look only.
    pub view_password: Key<SecretRef>,
    /// The file of the certificate with its chain (PEM); with `tls_key` the page and the API are served over TLS.
    pub tls_certificate: Key<String>,
    /// The file of the certificate's private key (PEM).
    pub tls_key: Key<String>,
}

/// Where plugins are, and what one may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugins {
    /// A folder of plugins, so that `plugin = "name"` finds `name.wasm` in it.
    pub dir: Key<String>,
    /// Time for a batch, before its records are counted; "250ms" when left out.
    pub time: Key<String>,
    /// Time for each record of a batch besides; "5ms" when left out.
    pub time_per_record: Key<String>,
    /// Time to start an instance, to describe itself and to take its settings, each; "2s" when left out.
    pub start_time: Key<String>,
    /// Time to find the records that break the plugin, for each batch; "60s" when left out.
    pub isolation_time: Key<String>,
    /// Memory of one instance; "64 MiB" when left out.
    pub memory: Key<NumberOrText>,
    /// The most that a batch's results may hold; "16 MiB" when left out.
    pub result: Key<NumberOrText>,
    /// The JSON body of one output; "1 MiB" when left out.
    pub body: Key<NumberOrText>,
    /// Keys that may be looked up in a batch; 20000 when left out.
    pub lookup_keys: Key<i64>,
    /// Log lines that are kept of a batch; 100 when left out.
    pub log_lines: Key<i64>,
    /// The most that a batch's log lines may hold; "16 KiB" when left out.
    pub log_size: Key<NumberOrText>,
    /// The largest component that is loaded; "32 MiB" when left out.
    pub component: Key<NumberOrText>,
    /// Time for compiling a component, in a process of its own; "2m" when left out.
    pub compile_time: Key<String>,
    /// Memory for compiling a component; "1 GiB" when left out.
    pub compile_memory: Key<NumberOrText>,
    /// Records of one batch that may break the plugin; of one more, the run is stopped and the sync paused. 20 when left out.
    pub pause_after: Key<i64>,
    /// Batches that are mapped at one moment; 4 when left out.
    pub instances: Key<i64>,
    /// How often `serve` looks whether a plugin's file has changed, to take it over; "off": never. "2s" when left out.
    pub reload: Key<String>,
}

/// Values for every sync that does not say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// See `every` of a sync.
    pub every: Key<String>,
    /// See `cron` of a sync.
    pub cron: Key<String>,
    /// See `time_zone` of a sync.
    pub time_zone: Key<String>,
    /// See `connection` of a sync.
    pub connection: Key<NameList>,
    /// See `failover` of a sync.
    pub failover: Key<bool>,
    /// See `plugin` of a sync.
    pub plugin: Key<String>,
    /// See `lag` of a sync.
    pub lag: Key<String>,
    /// See `overlap` of a sync.
    pub overlap: Key<String>,
    /// See `page_size` of a sync.
    pub page_size: Key<i64>,
    /// See `keep_raw` of a sync.
    pub keep_raw: Key<bool>,
    /// See `timeout` of a sync.
    pub timeout: Key<String>,
    /// See `fields` of a sync.
    pub fields: Key<FieldList>,
}

/// One object that is pulled.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Its name; the object's when left out.
    pub name: Key<String>,
    /// The API name of the object, for example "Contact" or "Invoice__c".
    pub object: Key<String>,
    /// A list of field API names (parents as "Account.Name"), "plugin" for what the plugin reads, or "all"; "plugin" when left out.
    pub fields: Key<FieldList>,
    /// A SOQL condition without the word WHERE, for example "IsActive__c = true".
    #[serde(rename = "where")]
    pub filter: Key<String>,
    /// How often it runs, for example "15m", "1h30m" or "90s"; "manual": only when asked.
    pub every: Key<String>,
    /// When it runs, as a cron expression of five fields, instead of `every`.
    pub cron: Key<String>,
    /// The IANA time zone of `cron`, for example "Europe/Berlin"; "UTC" when left out.
    pub time_zone: Key<String>,
    /// The connection that it uses, or a list of them, of which each run takes the healthy one with the least to do; the only one when left out.
    pub connection: Key<NameList>,
    /// Whether it moves to another healthy connection when its own must be authorised again; false when left out.
    pub failover: Key<bool>,
    /// A stock plugin's name, one from the plugins folder, or a path such as "./my.wasm"; "passthrough" when left out.
    pub plugin: Key<String>,
    /// SHA-256 of the plugin's component, as "sha256:..." or 64 hexadecimal digits: any other is refused.
    pub plugin_digest: Key<String>,
    /// Settings for the plugin. A secret one is { env = "NAME" } or { file = "path" }.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub config: Key<Settings>,
    /// Whether it runs at all; true when left out.
    pub enabled: Key<bool>,
    /// How long before the org's present a window ends, so that late commits are not missed; "60s" when left out.
    pub lag: Key<String>,
    /// How far a window reaches back into the last one; "10m" when left out.
    pub overlap: Key<String>,
    /// Records asked for in one call, 200 to 2000; 1000 when left out.
    pub page_size: Key<i64>,
    /// Whether its records are kept as Salesforce sent them; as `keep_raw` of the store when left out.
    pub keep_raw: Key<bool>,
    /// How long one run may take before it stops and leaves the rest to the next; no bound when left out.
    pub timeout: Key<String>,
    /// Which sync goes first when several are due or API calls are scarce: the larger number; 0 when left out. What more important syncs are expected to need within 24 hours is kept back from the others, and from first passes what all regular runs are; of a sync's own calls those of one run a day are never kept back for anybody.
    pub priority: Key<i64>,
}

/// A destination that changes of outputs are sent to, in order, while the host serves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// Its name; among the consumers it is "deliver." and this.
    pub name: Key<String>,
    /// "webhook": signed batches of changes as they are in the feed; or "segment": identify, track and group calls of a Segment-compatible HTTP API. "webhook" when left out.
    pub form: Key<DeliverForm>,
    /// Where to: the address for "webhook", the host for "segment" ("https://api.segment.io" when left out). Over https, or to this machine.
    pub url: Key<String>,
    /// Where the key of the signatures is for "webhook", or the write key for "segment": { env = "NAME" } or { file = "path" }.
    pub secret: Key<SecretRef>,
    /// Only outputs of these kinds; of all when left out.
    pub kinds: Key<Vec<At<String>>>,
    /// Only outputs of these syncs; of all when left out.
    pub syncs: Key<Vec<At<String>>>,
    /// Changes of one request at most; 100 when left out.
    pub batch: Key<i64>,
    /// How long one request may take; "30s" when left out.
    pub timeout: Key<String>,
    /// How long a batch is tried before its changes are put among the dead letters, so that the next ones can go; "3d" when left out, "never": the destination waits.
    pub give_up: Key<String>,
    /// Where a new destination begins: "start", with the first change that is kept, or "now"; "start" when left out.
    pub from: Key<DeliverFrom>,
}

/// Where is told what a person must know: a webhook that gets a message when something is wrong, and when it is over.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Where to. Over https, or to this machine.
    pub url: Key<String>,
    /// Where the key of the signatures is: { env = "NAME" } or { file = "path" }.
    pub secret: Key<SecretRef>,
    /// What is told: of "failed", "paused", "reconnect" and "stale"; all when left out.
    pub on: Key<Vec<At<String>>>,
    /// How old a sync's data may be before that is told; "24h" when left out.
    pub stale: Key<String>,
}

/// Where traces of runs are sent to: an OpenTelemetry collector that speaks OTLP over HTTP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The collector, for example "https://collector.example.com:4318"; "/v1/traces" is added when it has no path. Over https, or to this machine.
    pub endpoint: Key<String>,
    /// Headers of its requests, by name: each says where its value is, for example { authorization = { env = "OTLP_AUTH" } }.
    #[schemars(with = "Option<BTreeMap<String, SecretRef>>")]
    pub headers: Key<BTreeMap<String, At<SecretRef>>>,
    /// The name of this service in the traces; "kilofold" when left out.
    pub service: Key<String>,
    /// How long one request may take; "10s" when left out.
    pub timeout: Key<String>,
}

/// What is sent to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliverForm {
    /// Changes as they are in the feed.
    Webhook,
    /// Calls of Segment's HTTP API.
    Segment,
}

/// Where a new destination begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliverFrom {
    /// With the first change that is kept.
    Start,
    /// With what comes next.
    Now,
}

/// Settings for a plugin, by name.
pub type Settings = BTreeMap<String, toml::Value>;

/// The place of a secret.
#[derive(Debug, Clone)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file.
    File(String),
    /// What this program prints; its name and its arguments.
    Command(Vec<String>),
}

/// A number, or a text that has a unit.
#[derive(Debug, Clone)]
pub enum NumberOrText {
    /// A number without unit.
    Number(i64),
    /// A text.
    Text(String),
}

/// One name, or several.
#[derive(Debug, Clone)]
pub enum NameList {
    /// One.
    One(String),
    /// These.
    Several(Vec<At<String>>),
}

/// What `fields` may say.
#[derive(Debug, Clone)]
pub enum FieldList {
    /// These names.
    List(Vec<At<String>>),
    /// One word.
    Word(String),
}

/// What is wrong with a text where the place of a secret belongs.
pub const SECRET_HERE: &str = "a secret must not stand in this file";

/// A visitor that is made of the shapes that the values of this file come in.
struct Shape<T>(&'static str, PhantomData<T>);

impl<'de> Visitor<'de> for Shape<SecretRef> {
    type Value = SecretRef;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(E::custom(SECRET_HERE))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let next = match key.as_str() {
                "env" => SecretRef::Env(map.next_value()?),
                "file" => SecretRef::File(map.next_value()?),
                "command" => SecretRef::Command(map.next_value()?),
                _ => return Err(A::Error::unknown_field(&key, &["env", "file", "command"])),
            };
            if found.replace(next).is_some() {
                return Err(A::Error::custom("`env`, `file` and `command` exclude each other"));
            }
        }
        found.ok_or_else(|| A::Error::custom("expected `env`, `file` or `command`"))
    }
}

impl<'de> Visitor<'de> for Shape<NumberOrText> {
    type Value = NumberOrText;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<NumberOrText, E> {
        Ok(NumberOrText::Number(number))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NumberOrText, E> {
        Ok(NumberOrText::Text(text.to_owned()))
    }
}

impl<'de> Visitor<'de> for Shape<FieldList> {
    type Value = FieldList;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FieldList, E> {
        Ok(FieldList::Word(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(FieldList::List(names))
    }
}

impl<'de> Visitor<'de> for Shape<NameList> {
    type Value = NameList;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NameList, E> {
        Ok(NameList::One(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NameList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(NameList::Several(names))
    }
}

macro_rules! shape {
    ($type:ident, $expecting:literal, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Shape::<$type>($expecting, PhantomData))
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

shape!(SecretRef, "{ env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }", {
    "description": "Where a secret is kept; never the secret itself.",
    "type": "object",
    "properties": {
        "env": { "type": "string", "description": "The environment variable that holds it." },
        "file": { "type": "string", "description": "The file that holds it, relative to this file." },
        "command": {
            "type": "array",
            "items": { "type": "string" },
            "minItems": 1,
            "description": "The program that prints it, for example one that asks the system's keyring, and its arguments."
        }
    },
    "additionalProperties": false,
    "minProperties": 1,
    "maxProperties": 1
});
shape!(NumberOrText, "a number or a text", {
    "description": "A number, or a text with a unit.",
    "type": ["integer", "string"],
    "minimum": 0
});
shape!(NameList, "a name or a list of names", {
    "description": "A name, or a list of names.",
    "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true }
    ]
});
shape!(FieldList, "a list of field names, \"plugin\" or \"all\"", {
    "description": "Field API names, or \"plugin\", or \"all\".",
    "anyOf": [
        { "enum": ["plugin", "all"] },
        { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true }
    ]
});

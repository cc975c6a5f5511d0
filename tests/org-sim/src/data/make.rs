//! Values made on demand: the same (seed, object, row, field, generation) always yields the same value.

use std::borrow::Cow;

use super::schema::{Field, Kind};
use super::value::{Value, date_of};
use super::words::{COMPANIES, DEPARTMENTS, SCRIPTS, SENTENCES, SUBJECTS, Script, TITLES, TRADES};
use crate::org::{Org, Row, Table};

const DAY: i64 = 86_400;

/// How the value of a field is made. The last number of most is the share of nulls in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Make {
    /// The record's id.
    Id,
    /// Whether it is in the recycle bin.
    Deleted,
    /// When it was created.
    Created,
    /// When a user last changed it.
    Modified,
    /// When anything last changed it.
    Stamp,
    /// Always null until set.
    Nothing,
    /// A given name; sometimes null.
    First,
    /// A family name.
    Last,
    /// Given and family name as the script writes them.
    FullName,
    /// A company.
    Company,
    /// An opportunity's name.
    Deal,
    /// An e-mail address; some null, some upper case, some that no parser should accept.
    Email,
    /// A user's login name.
    Username,
    /// A telephone number.
    Phone(u8),
    /// A web address.
    Website(u8),
    /// A street, sometimes of two lines.
    Street,
    /// A city.
    City,
    /// A state.
    State,
    /// A postal code.
    Postal,
    /// A country.
    Country,
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// The compound of the named parts (compound first).
    Address([&'static str; 9]),
    /// A value of the picklist.
    Pick(u8),
    /// Some values of the multi-select picklist.
    Multi(u8),
    /// True for so many percent.
    Flag(u8),
    /// A whole number from low to below high.
    Whole(i64, i64, u8),
    /// A number from low to below high in units of the last of so many decimals.
    Number(i64, i64, u8, u8),
    /// A date so many days around the last change.
    Day(i64, i64, u8),
    /// A moment so many days around the last change.
    Moment(i64, i64, u8),
    /// A date of birth.
    Birthday(u8),
    /// A job title.
    Title(u8),
    /// A department.
    Department(u8),
    /// A task's subject.
    Subject(u8),
    /// Several sentences.
    Prose(u8),
    /// Unique: a prefix and the row number in disguise.
    Code(&'static str),
    /// Unique: a prefix and the row number.
    Auto(&'static str),
    /// So many digits.
    Digits(u8, u8),
    /// An IPv4 address from the documentation ranges.
    Address4,
    /// The texts in turn, by row.
    Listed(&'static [&'static str]),
    /// The id of a record of that object.
    Parent(&'static str, u8),
    /// The same, another one after each change.
    ParentNow(&'static str, u8),
    /// The id of a record of either object.
    Either(&'static str, &'static str, u8),
}

/// Mixes two numbers into one that looks random (splitmix64's finaliser).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn pick<T: Copy>(list: &[T], dice: u64) -> Option<T> {
    let index = dice % (list.len().max(1) as u64);
    list.get(index as usize).copied()
}

fn word(list: &[&'static str], dice: u64) -> &'static str {
    pick(list, dice).unwrap_or_default()
}

fn fixed(list: &[&'static str], dice: u64) -> Value {
    pick(list, dice).map_or(Value::Null, Value::fixed)
}

/// One cell: the row of a table and one of its fields.
pub struct Cell<'a> {
    /// The org, for parents.
    pub org: &'a Org,
    /// The object's records.
    pub table: &'a Table,
    /// Number of the row.
    pub number: u32,
    /// State of the row.
    pub row: &'a Row,
}

impl Cell<'_> {
    fn stable(&self, salt: u64) -> u64 {
        mix(mix(self.table.salt, u64::from(self.number)), salt)
    }

    fn now(&self, salt: u64) -> u64 {
        mix(self.stable(salt), u64::from(self.row.edits))
    }

    fn script(&self) -> &'static Script {
        // Six in ten are Latin without surprises; the rest is spread over the other scripts.
        let dice = self.stable(0x5c81);
        let index = if dice % 10 < 6 { 0 } else { 1 + dice / 16 % 15 };
        &SCRIPTS[(index % 16) as usize]
    }

    /// Another field of the same row, by its exact name.
    fn sibling(&self, name: &str) -> Value {
        let fields = &self.table.object().fields;
        fields
            .iter()
            .position(|field| field.name == name)
            .map_or(Value::Null, |field| self.table.value(self.org, self.number, field))
    }

    fn first(&self) -> Option<&'static str> {
        let dice = self.stable(0xf157);
        (dice % 100 >= 4).then(|| word(self.script().first, dice / 128))
    }

    fn last(&self) -> Cow<'static, str> {
        let dice = self.stable(0x1a57);
        let name = word(self.script().last, dice / 128);
        match dice % 100 {
            0 => Cow::Owned(format!("{name} 🦊")),
            1 => Cow::Owned(format!("{name} \"{}\"", word(SCRIPTS[0].first, dice / 4096))),
            2 => Cow::Owned(format!("{name}, Jr.")),
            _ => Cow::Borrowed(name),
        }
    }

    /// The value of the field, as it would be had nobody set it.
    pub fn make(&self, index: usize, field: &Field) -> Value {
        let salt = mix(0xf1e1d, index as u64);
        let dice = self.now(salt);
        let none = |percent: u8| dice % 100 < u64::from(percent);
        let more = dice / 128;
        match field.make {
            Make::Id => Value::Text(Cow::Owned(self.table.ids.id(self.number))),
            Make::Deleted => Value::Bool(self.row.deleted),
            Make::Created => Value::Time(self.row.created),
            Make::Modified => Value::Time(self.row.modified),
            Make::Stamp => Value::Time(self.row.stamp),
            Make::Nothing => Value::Null,
            Make::First => self.first().map_or(Value::Null, Value::fixed),
            Make::Last => Value::Text(self.last()),
            Make::FullName => self.full_name(),
            Make::Company => self.company(),
            Make::Deal => Value::text(format!(
                "{} {} - {} {}",
                word(COMPANIES, more),
                word(TRADES, more / 64),
                more / 4096 % 900 + 100,
                word(SUBJECTS, more / 512)
            )),
            Make::Email => self.email(dice),
            Make::Username => Value::text(format!("user{}@example.com", self.number)),
            Make::Phone(null)
            | Make::Website(null)
            | Make::Title(null)
            | Make::Department(null)
            | Make::Subject(null)
            | Make::Prose(null)
            | Make::Pick(null)
            | Make::Multi(null)
            | Make::Birthday(null)
                if none(null) =>
            {
                Value::Null
            }
            Make::Phone(_) => Value::text(match more % 4 {
                0 => format!("+1 512 {:03}-{:04}", more / 8 % 1000, more / 8192 % 10_000),
                1 => format!("({:03}) 555-{:04}", more / 8 % 800 + 200, more / 8192 % 10_000),
                2 => format!("+49 (0)89 {:06}", more / 8 % 1_000_000),
                _ => format!(
                    "{:03}.{:03}.{:04} x{}",
                    more / 8 % 1000,
                    more / 8192 % 1000,
                    more >> 23 & 8191,
                    more % 97
                ),
            }),
            Make::Website(_) => Value::text(format!(
                "https://www.{}.example/{}?ref={}",
                word(TRADES, more).to_ascii_lowercase(),
                self.number,
                more % 1000
            )),
            Make::Street | Make::City | Make::State | Make::Postal | Make::Country => {
                self.place(field.make)
            }
            Make::Latitude => self.degrees(0x1a7, 180.0),
            Make::Longitude => self.degrees(0x107, 360.0),
            Make::Address(names) => self.address(names),
            Make::Pick(_) => match field.kind {
                Kind::Pick(values) => fixed(values, more),
                _ => Value::Null,
            },
            Make::Multi(_) => match field.kind {
                Kind::Multi(values) => {
                    let chosen: Vec<&str> = values
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| more >> i & 3 == 1)
                        .map(|(_, value)| *value)
                        .collect();
                    Value::text(chosen.join(";"))
                }
                _ => Value::Null,
            },
            Make::Flag(percent) => Value::Bool(none(percent)),
            Make::Whole(_, _, null)
            | Make::Number(_, _, _, null)
            | Make::Day(_, _, null)
            | Make::Moment(_, _, null)
            | Make::Digits(_, null)
                if none(null) =>
            {
                Value::Null
            }
            Make::Whole(low, high, _) => Value::Int(between(low, high, more)),
            Make::Number(low, high, decimals, _) => {
                Value::Num(between(low, high, more) as f64 / 10_f64.powi(i32::from(decimals)))
            }
            Make::Day(low, high, _) => {
                Value::Day(date_of(self.row.modified + between(low, high, more) * DAY))
            }
            Make::Moment(low, high, _) => {
                Value::Time(self.row.modified + between(low * DAY, high * DAY, more))
            }
            Make::Birthday(_) => Value::Day(date_of(between(-10_000, 14_000, more) * DAY)),
            Make::Title(_) => fixed(TITLES, more),
            Make::Department(_) => fixed(DEPARTMENTS, more),
            Make::Subject(_) => fixed(SUBJECTS, more),
            Make::Prose(_) => self.prose(more),
            Make::Code(prefix) => {
                Value::text(format!("{prefix}-{:08X}-{:06}", self.stable(salt) >> 32, self.number))
            }
            Make::Auto(prefix) => Value::text(format!("{prefix}{:06}", self.number + 1)),
            Make::Digits(digits, _) => Value::text(format!(
                "{:0width$}",
                more % 10_u64.pow(u32::from(digits.min(18))),
                width = usize::from(digits)
            )),
            Make::Address4 => Value::text(format!("203.0.113.{}", more % 256)),
            Make::Listed(texts) => fixed(texts, u64::from(self.number)),
            Make::Parent(object, null) => self.parent(object, self.stable(salt), null),
            Make::ParentNow(object, null) => self.parent(object, dice, null),
            Make::Either(one, other, null) => {
                let dice = self.stable(salt);
                self.parent(if dice >> 40 & 3 < 3 { one } else { other }, dice, null)
            }
        }
    }

    fn parent(&self, object: &str, dice: u64, null: u8) -> Value {
        let Some(table) = self.org.tables.iter().find(|table| table.object().name == object) else {
            return Value::Null;
        };
        if table.initial == 0 || dice % 100 < u64::from(null) {
            return Value::Null;
        }
        Value::Text(Cow::Owned(table.ids.id((dice / 128 % u64::from(table.initial)) as u32)))
    }

    fn full_name(&self) -> Value {
        let first = self.sibling("FirstName");
        let last = self.sibling("LastName");
        let last = last.as_text().unwrap_or_default();
        match first.as_text() {
            None => Value::text(last.to_owned()),
            Some(first) if self.script().family_first => Value::text(format!("{last}{first}")),
            Some(first) => Value::text(format!("{first} {last}")),
        }
    }

    fn company(&self) -> Value {
        let dice = self.stable(0xc0);
        let script = self.script();
        Value::text(match dice % 50 {
            0 => format!("\"{}\" {}", word(COMPANIES, dice / 64), script.firm),
            1 => format!("{} \\ {} 🚀", word(COMPANIES, dice / 64), word(TRADES, dice / 4096)),
            _ => format!(
                "{} {} {} {}",
                word(script.last, dice / 1024),
                word(COMPANIES, dice / 64),
                word(TRADES, dice / 4096),
                script.firm
            ),
        })
    }

    fn email(&self, dice: u64) -> Value {
        let more = dice / 128;
        let name = word(SCRIPTS[0].first, self.stable(0xf157) / 128);
        let house = word(&["example.com", "example.org", "mail.example.net", "corp.example"], more);
        let number = self.number;
        match dice % 100 {
            0..=5 => Value::Null,
            6 => Value::text(format!("{name}{number}")),
            7 => Value::text(format!("{name} {number}@{house}")),
            8 => Value::text(format!("{name}.{number}(at){house}")),
            9 => Value::fixed("n/a"),
            10..=24 => Value::text(format!("{name}.{number}@{}", house.to_ascii_uppercase())),
            25..=34 => Value::text(format!("{}+news{}@{house}", name.to_ascii_lowercase(), number)),
            _ => Value::text(format!("{}.{number}@{house}", name.to_ascii_lowercase())),
        }
    }

    fn place(&self, part: Make) -> Value {
        let dice = self.stable(0x97ace);
        let script = self.script();
        // One address in twelve is missing altogether.
        if dice.is_multiple_of(12) {
            return Value::Null;
        }
        let more = dice / 16;
        match part {
            Make::Street if more.is_multiple_of(4) => Value::text(format!(
                "{} {}\n{} {}",
                more % 400 + 1,
                word(script.street, more / 512),
                word(DEPARTMENTS, more / 4096),
                more % 30
            )),
            Make::Street => {
                Value::text(format!("{} {}", more % 400 + 1, word(script.street, more / 512)))
            }
            Make::City => fixed(script.city, more / 8),
            Make::State if !more.is_multiple_of(3) => {
                fixed(&["TX", "CA", "NY", "Bayern", "Île-de-France", "東京都"], more / 32)
            }
            Make::Postal if !more.is_multiple_of(10) => {
                Value::text(format!("{:05}", more / 64 % 100_000))
            }
            Make::Country => Value::fixed(script.country),
            _ => Value::Null,
        }
    }

    fn degrees(&self, salt: u64, span: f64) -> Value {
        let dice = self.stable(salt);
        // Both or neither.
        if self.stable(0x9e0) % 100 < 70 {
            return Value::Null;
        }
        // Six decimals, exactly representable as short text.
        let micro = (dice / 128 % 1_000_000) as f64 / 1_000_000.0;
        Value::Num(((micro - 0.5) * span * 1_000_000.0).round() / 1_000_000.0)
    }

    fn address(
        &self,
        [_, street, city, state, postal, country, latitude, longitude, accuracy]: [&str; 9],
    ) -> Value {
        let parts = [
            ("city", city),
            ("country", country),
            ("geocodeAccuracy", accuracy),
            ("latitude", latitude),
            ("longitude", longitude),
            ("postalCode", postal),
            ("state", state),
            ("street", street),
        ];
        let values = parts.map(|(key, field)| (key, self.sibling(field)));
        if values.iter().all(|(_, value)| value.is_null()) {
            return Value::Null;
        }
        let mut out = Vec::with_capacity(200);
        for (i, (key, value)) in values.iter().enumerate() {
            out.push(if i == 0 { b'{' } else { b',' });
            super::value::write_string(&mut out, key);
            out.push(b':');
            value.write(&mut out);
        }
        out.push(b'}');
        String::from_utf8(out).map_or(Value::Null, Value::Json)
    }

    fn prose(&self, dice: u64) -> Value {
        let mut text = String::with_capacity(400);
        let mut dice = dice;
        for i in 0..2 + dice % 6 {
            dice = mix(dice, i);
            if i > 0 {
                text.push(if dice.is_multiple_of(5) { '\n' } else { ' ' });
            }
            text.push_str(if dice % 7 < 6 {
                word(SENTENCES, dice / 64)
            } else {
                self.script().phrase
            });
        }
        Value::text(text)
    }
}

/// A number from low to below high.
fn between(low: i64, high: i64, dice: u64) -> i64 {
    low + (dice % high.abs_diff(low).max(1)) as i64
}

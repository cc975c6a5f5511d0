//! What an object and a field are: the static description from which values, describe and SOQL's checks are made.

use super::make::Make;

/// The type of a field, as describe names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// The record's own id.
    Id,
    /// A lookup: the objects it may point to and the name of the relationship.
    Reference(&'static [&'static str], &'static str),
    /// Text of at most so many characters.
    Text(u32),
    /// Text of several lines that can be filtered (at most 255 characters).
    Area(u32),
    /// Long text: neither filterable nor sortable.
    Long(u32),
    /// One of a list of values.
    Pick(&'static [&'static str]),
    /// Several of a list of values, joined by semicolons.
    Multi(&'static [&'static str]),
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A web address.
    Url,
    /// A checkbox.
    Bool,
    /// A whole number.
    Int,
    /// A number of so many digits, so many of them after the point.
    Double(u8, u8),
    /// Money.
    Currency(u8, u8),
    /// A percentage.
    Percent(u8, u8),
    /// A date.
    Date,
    /// A moment.
    DateTime,
    /// A compound address, whose parts are fields of their own.
    Address,
}

/// How values of a type behave in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Compared as text without regard to case.
    Text,
    /// Compared as ids.
    Id,
    /// True or false.
    Bool,
    /// Compared as numbers.
    Number,
    /// Compared as dates.
    Date,
    /// Compared as moments.
    Time,
    /// Neither filtered nor sorted.
    Compound,
}

impl Kind {
    /// The `type` in describe.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Id => "id",
            Kind::Reference(..) => "reference",
            Kind::Text(_) => "string",
            Kind::Area(_) | Kind::Long(_) => "textarea",
            Kind::Pick(_) => "picklist",
            Kind::Multi(_) => "multipicklist",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Url => "url",
            Kind::Bool => "boolean",
            Kind::Int => "int",
            Kind::Double(..) => "double",
            Kind::Currency(..) => "currency",
            Kind::Percent(..) => "percent",
            Kind::Date => "date",
            Kind::DateTime => "datetime",
            Kind::Address => "address",
        }
    }

    /// The `soapType` in describe.
    pub fn soap(self) -> &'static str {
        match self {
            Kind::Id | Kind::Reference(..) => "tns:ID",
            Kind::Bool => "xsd:boolean",
            Kind::Int => "xsd:int",
            Kind::Double(..) | Kind::Currency(..) | Kind::Percent(..) => "xsd:double",
            Kind::Date => "xsd:date",
            Kind::DateTime => "xsd:dateTime",
            Kind::Address => "urn:address",
            _ => "xsd:string",
        }
    }

    /// How its values are compared.
    pub fn class(self) -> Class {
        match self {
            Kind::Id | Kind::Reference(..) => Class::Id,
            Kind::Bool => Class::Bool,
            Kind::Int | Kind::Double(..) | Kind::Currency(..) | Kind::Percent(..) => Class::Number,
            Kind::Date => Class::Date,
            Kind::DateTime => Class::Time,
            Kind::Address => Class::Compound,
            _ => Class::Text,
        }
    }

    /// The longest value in characters; 0 where length has no meaning.
    pub fn length(self) -> u32 {
        match self {
            Kind::Id | Kind::Reference(..) => 18,
            Kind::Text(length) | Kind::Area(length) | Kind::Long(length) => length,
            Kind::Pick(_) => 255,
            Kind::Multi(_) => 4099,
            Kind::Email => 80,
            Kind::Phone => 40,
            Kind::Url => 255,
            _ => 0,
        }
    }
}

/// One field.
#[derive(Debug, Clone)]
pub struct Field {
    /// API name.
    pub name: &'static str,
    /// Label in the user interface.
    pub label: &'static str,
    /// Type.
    pub kind: Kind,
    /// How its value is made from the seed.
    pub make: Make,
    /// The compound field it is a part of.
    pub compound: Option<&'static str>,
    /// Whether it may be null.
    pub nillable: bool,
    /// Whether clients may write it.
    pub writable: bool,
    /// Whether it names the record.
    pub name_field: bool,
    /// Whether it is an external id.
    pub external_id: bool,
    /// Whether its values are numbered by Salesforce.
    pub auto_number: bool,
}

impl Field {
    /// A field that clients may write and that may be null.
    pub fn new(name: &'static str, label: &'static str, kind: Kind, make: Make) -> Field {
        Field {
            name,
            label,
            kind,
            make,
            compound: None,
            nillable: !matches!(kind, Kind::Id | Kind::Bool),
            writable: !matches!(kind, Kind::Id | Kind::Address),
            name_field: false,
            external_id: false,
            auto_number: false,
        }
    }

    /// The same field, never null.
    pub fn required(mut self) -> Field {
        self.nillable = false;
        self
    }

    /// The same field, written by Salesforce alone.
    pub fn read_only(mut self) -> Field {
        self.writable = false;
        self
    }

    /// The same field as the name of the record.
    pub fn naming(mut self) -> Field {
        self.name_field = true;
        self
    }

    /// The same field as a part of a compound field.
    pub fn part_of(mut self, compound: &'static str) -> Field {
        self.compound = Some(compound);
        self
    }

    /// The same field as an external id.
    pub fn external(mut self) -> Field {
        self.external_id = true;
        self
    }

    /// The same field, numbered by Salesforce.
    pub fn numbered(mut self) -> Field {
        self.auto_number = true;
        self.read_only()
    }

    /// Whether the field was added by the customer.
    pub fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether WHERE may name it. (Describe says so of compound fields too, wrongly, as Salesforce's does.)
    pub fn filterable(&self) -> bool {
        !matches!(self.kind, Kind::Long(_))
    }

    /// Whether ORDER BY may name it.
    pub fn sortable(&self) -> bool {
        !matches!(self.kind, Kind::Long(_) | Kind::Multi(_) | Kind::Address)
    }

    /// The relationship name of a lookup.
    pub fn relationship(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Reference(_, name) => Some(name),
            _ => None,
        }
    }
}

/// One object.
#[derive(Debug)]
pub struct Object {
    /// API name.
    pub name: &'static str,
    /// Label in the user interface.
    pub label: &'static str,
    /// Label of several.
    pub plural: &'static str,
    /// First three characters of its ids.
    pub prefix: &'static str,
    /// Fields in the order of describe.
    pub fields: Vec<Field>,
    /// Whether getUpdated and getDeleted work.
    pub replicateable: bool,
    /// Whether clients may write records.
    pub writable: bool,
    /// Records when the sizes do not name it.
    pub usual: usize,
}

impl Object {
    /// The position of a field, whatever the case of the name.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The lookup field of a relationship, whatever the case of the name.
    pub fn relationship(&self, name: &str) -> Option<usize> {
        self.fields
            .iter()
            .position(|field| field.relationship().is_some_and(|it| it.eq_ignore_ascii_case(name)))
    }

    /// Whether the object was made by the customer.
    pub fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether records can be in the recycle bin.
    pub fn deletable(&self) -> bool {
        self.field("IsDeleted").is_some() && self.writable
    }
}

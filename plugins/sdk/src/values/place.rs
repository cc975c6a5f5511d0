//! Compound values: addresses and locations.

use std::borrow::Cow;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Number;

/// A compound address; every part may be empty, and one that the org does not have is. Written as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// Street, over several lines perhaps.
    pub street: Option<Cow<'a, str>>,
    /// City.
    pub city: Option<Cow<'a, str>>,
    /// State or province.
    pub state: Option<Cow<'a, str>>,
    /// Postal code.
    pub postal_code: Option<Cow<'a, str>>,
    /// Country.
    pub country: Option<Cow<'a, str>>,
    /// ISO code of the state, where the org has state pick lists.
    pub state_code: Option<Cow<'a, str>>,
    /// ISO code of the country, where the org has country pick lists.
    pub country_code: Option<Cow<'a, str>>,
    /// Degrees north.
    pub latitude: Option<Number<'a>>,
    /// Degrees east.
    pub longitude: Option<Number<'a>>,
    /// How exact the coordinates are, such as `Street`.
    pub geocode_accuracy: Option<Cow<'a, str>>,
    json: &'a str,
}

impl<'a> Address<'a> {
    /// An address from its JSON, if it is one.
    pub fn parse(json: &'a str) -> Option<Self> {
        let mut address = Self {
            street: None,
            city: None,
            state: None,
            postal_code: None,
            country: None,
            state_code: None,
            country_code: None,
            latitude: None,
            longitude: None,
            geocode_accuracy: None,
            json,
        };
        members(json, |name, value| {
            match name {
                "street" => address.street = text(value)?,
                "city" => address.city = text(value)?,
                "state" => address.state = text(value)?,
                "postalCode" => address.postal_code = text(value)?,
                "country" => address.country = text(value)?,
                "stateCode" => address.state_code = text(value)?,
                "countryCode" => address.country_code = text(value)?,
                "latitude" => address.latitude = number(value)?,
                "longitude" => address.longitude = number(value)?,
                "geocodeAccuracy" => address.geocode_accuracy = text(value)?,
                _ => {}
            }
            Some(())
        })?;
        Some(address)
    }

    /// The address as Salesforce spelled it.
    #[inline]
    pub fn as_json(&self) -> &'a str {
        self.json
    }
}

/// A compound location, in degrees. Written as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// Degrees north.
    pub latitude: Number<'a>,
    /// Degrees east.
    pub longitude: Number<'a>,
    json: &'a str,
}

impl<'a> Location<'a> {
    /// A location from its JSON, if it is one.
    pub fn parse(json: &'a str) -> Option<Self> {
        let (mut latitude, mut longitude) = (None, None);
        members(json, |name, value| {
            match name {
                "latitude" => latitude = number(value)?,
                "longitude" => longitude = number(value)?,
                _ => {}
            }
            Some(())
        })?;
        Some(Self { latitude: latitude?, longitude: longitude?, json })
    }

    /// The location as Salesforce spelled it.
    #[inline]
    pub fn as_json(&self) -> &'a str {
        self.json
    }
}

/// Hands every member of an object to `take`; nothing when the text is no object or `take` refuses a value.
fn members<'a>(json: &'a str, take: impl FnMut(&str, &'a RawValue) -> Option<()>) -> Option<()> {
    struct Members<F>(F);

    impl<'a, F: FnMut(&str, &'a RawValue) -> Option<()>> Visitor<'a> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<(), M::Error> {
            while let Some(name) = map.next_key::<Cow<'a, str>>()? {
                let value = map.next_value()?;
                self.0(&name, value).ok_or_else(|| M::Error::custom("another type"))?;
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_map(Members(take)).ok()
}

/// A text or nothing; borrowed where it has no escapes. The outer `Option` is for another type.
fn text(value: &RawValue) -> Option<Option<Cow<'_, str>>> {
    let json = value.get();
    if json == "null" {
        return Some(None);
    }
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(json).ok().map(|text| Some(Cow::Owned(text)));
    }
    Some(Some(Cow::Borrowed(inside)))
}

fn number(value: &RawValue) -> Option<Option<Number<'_>>> {
    match value.get() {
        "null" => Some(None),
        json => Number::parse(json).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_salesforce_sends() {
        let json = r#"{"city":"San Francisco","country":"US","geocodeAccuracy":null,"latitude":37.790,"longitude":-122.4,"postalCode":"94105","state":"CA","street":"1 Market\nSt \"B\"","new":[1]}"#;
        let address = Address::parse(json).unwrap();
        assert_eq!(address.street.as_deref(), Some("1 Market\nSt \"B\""));
        assert!(matches!(address.city, Some(Cow::Borrowed("San Francisco"))));
        assert_eq!((address.state_code, address.geocode_accuracy), (None, None));
        assert_eq!(address.latitude.map(|it| it.as_str()), Some("37.790"));
        assert_eq!(address.json, json);
        let place = Location::parse(r#"{"latitude":1.5,"longitude":-2}"#).unwrap();
        assert_eq!((place.latitude.as_str(), place.longitude.as_i64()), ("1.5", Some(-2)));
    }

    #[test]
    fn refuses_what_is_none() {
        for json in ["[]", "7", "\"x\"", "{\"city\":7}", "{\"latitude\":\"1\"}", "{\"city\":", ""] {
            assert_eq!(Address::parse(json), None, "{json}");
        }
        for json in ["{}", "{\"latitude\":1}", "{\"latitude\":1,\"longitude\":null}"] {
            assert_eq!(Location::parse(json), None, "{json}");
        }
    }
}

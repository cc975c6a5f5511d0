//! Picklists with more than one choice.

/// The chosen values of a multi-select picklist, which Salesforce spells `four;six`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiPicklist<'a>(&'a str);

impl<'a> MultiPicklist<'a> {
    /// The choices in a text, parted by semicolons.
    #[inline]
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The choices, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.split(';').filter(|choice| !choice.is_empty())
    }

    /// Whether a value was chosen.
    pub fn contains(&self, choice: &str) -> bool {
        self.iter().any(|it| it == choice)
    }

    /// The text as Salesforce spelled it.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_the_choices() {
        let list = MultiPicklist::new("four;six");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["four", "six"]);
        assert!(list.contains("six") && !list.contains("si"));
        assert_eq!(MultiPicklist::new("").iter().count(), 0);
    }
}

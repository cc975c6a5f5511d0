//! Names in the spelling of each language.

/// The words of a Salesforce name: `NumberOfEmployees`, `Annual_Spend__c` and `api_key` are three, two and two.
fn split(name: &str) -> Vec<String> {
    let base = name.strip_suffix("__c").or_else(|| name.strip_suffix("__pc")).unwrap_or(name);
    let mut words: Vec<String> = Vec::new();
    let (mut fresh, mut lower) = (true, false);
    let letters: Vec<char> = base.chars().collect();
    for (i, &letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            (fresh, lower) = (true, false);
            continue;
        }
        // A capital begins a word after a small letter, or before one: `SICDesc` is `SIC`, `Desc`.
        let next = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if fresh || letter.is_ascii_uppercase() && (lower || next) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
        (fresh, lower) = (false, !letter.is_ascii_uppercase());
    }
    words
}

/// `Number of employees`.
pub(super) fn words(name: &str) -> String {
    let text = split(name).join(" ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// `number_of_employees`.
pub(super) fn snake(name: &str) -> String {
    let text = split(name).join("_");
    if text.starts_with(|first: char| first.is_ascii_digit()) { format!("_{text}") } else { text }
}

/// `NumberOfEmployees`.
pub(super) fn camel(name: &str) -> String {
    let capital = |word: String| {
        let mut letters = word.chars();
        let first = letters.next().map(|it| it.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    split(name).into_iter().map(capital).collect()
}

/// Names in small letters with `_` between their words, each once.
pub(super) fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let base = snake(name);
        let mut ident = base.clone();
        for n in 2.. {
            if !taken.contains(&ident) {
                break;
            }
            ident = format!("{base}_{n}");
        }
        taken.push(ident);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_in_every_way() {
        for (name, snaked, worded) in [
            ("NumberOfEmployees", "number_of_employees", "Number of employees"),
            ("Annual_Spend__c", "annual_spend", "Annual spend"),
            ("SICDesc", "sic_desc", "Sic desc"),
            ("Product2Id", "product2_id", "Product2 id"),
            ("my-mapping", "my_mapping", "My mapping"),
            ("Id", "id", "Id"),
        ] {
            assert_eq!((snake(name).as_str(), words(name).as_str()), (snaked, worded));
        }
        assert_eq!(camel("Annual_Spend__c"), "AnnualSpend");
        assert_eq!(
            distinct(["Spend__c", "Spend", "spend"].into_iter()),
            ["spend", "spend_2", "spend_3"]
        );
    }
}

//! data/nations.txt -> names, streets and cities of the people that the simulators invent.

use std::sync::LazyLock;

use crate::dice::Dice;

/// One nation's words.
#[derive(Debug, Default)]
pub(crate) struct Nation {
    pub(crate) code: &'static str,
    /// Empty for LEGO, whose people have none.
    pub(crate) country: &'static str,
    /// Name of the national identity number; empty where the upstream gives none.
    pub(crate) id_name: &'static str,
    pub(crate) phone: &'static str,
    pub(crate) cell: &'static str,
    pub(crate) female: Vec<&'static str>,
    pub(crate) male: Vec<&'static str>,
    pub(crate) last: Vec<&'static str>,
    pub(crate) streets: Vec<&'static str>,
    /// City and state.
    pub(crate) cities: Vec<(&'static str, &'static str)>,
}

static NATIONS: LazyLock<Vec<Nation>> = LazyLock::new(|| parse(include_str!("../data/nations.txt")));

/// Every nation that is served without being asked for; the last of the file, LEGO, only comes on request.
pub(crate) fn all() -> &'static [Nation] {
    &NATIONS[..NATIONS.len() - 1]
}

/// One of [`all`].
pub(crate) fn any(dice: &mut Dice) -> &'static Nation {
    &all()[dice.index(all().len())]
}

/// The nation with this code, in any case.
pub(crate) fn find(code: &str) -> Option<&'static Nation> {
    NATIONS.iter().find(|nation| nation.code.eq_ignore_ascii_case(code))
}

fn parse(text: &'static str) -> Vec<Nation> {
    let mut nations: Vec<Nation> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, words) = line.split_at(2);
        let words = || words.split('|');
        let Some(nation) = nations.last_mut().filter(|_| kind.ends_with(' ')) else {
            let mut head = line.split('|');
            let mut next = || head.next().unwrap_or_default();
            nations.push(Nation {
                code: next(),
                country: next(),
                id_name: next(),
                phone: next(),
                cell: next(),
                ..Nation::default()
            });
            continue;
        };
        match kind {
            "f " => nation.female = words().collect(),
            "m " => nation.male = words().collect(),
            "l " => nation.last = words().collect(),
            "s " => nation.streets = words().collect(),
            _ => nation.cities = words().filter_map(|word| word.split_once('/')).collect(),
        }
    }
    nations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nation_has_every_list() {
        assert_eq!(all().len(), 21);
        for nation in NATIONS.iter() {
            assert!(!nation.phone.is_empty() && !nation.cell.is_empty(), "{nation:?}");
            for list in [&nation.female, &nation.male, &nation.last, &nation.streets] {
                assert!(list.len() >= 3 && list.iter().all(|word| !word.is_empty()), "{nation:?}");
            }
            assert!(nation.cities.len() >= 3, "{nation:?}");
        }
    }

    #[test]
    fn lego_comes_only_on_request() {
        assert!(all().iter().all(|nation| nation.code != "LEGO"));
        assert_eq!(find("lego").map(|nation| nation.country), Some(""));
        assert!(find("XX").is_none());
    }
}

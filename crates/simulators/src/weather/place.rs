//! A weather request's `q`, `id` or `lat` and `lon` -> a place on the globe.

use std::sync::LazyLock;

use crate::dice::{Dice, hash};
use crate::nations;

/// Where the weather is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Empty for a point that has no name, as at sea.
    pub(super) name: String,
    /// None at sea.
    pub(super) country: Option<String>,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) timezone_s: i64,
    /// 0 for a point that has no name.
    pub(super) id: u64,
}

impl Place {
    /// What makes this place's weather its own: a city has the same by name and by coordinates.
    pub(super) fn key(&self) -> u64 {
        if self.name.is_empty() {
            hash(&format!("{:.2},{:.2}", self.latitude, self.longitude))
        } else {
            hash(&self.name)
        }
    }
}

/// Why there is no weather.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    Nothing,
    NotFound,
    Latitude,
    Longitude,
}

static CITIES: LazyLock<Vec<Place>> =
    LazyLock::new(|| include_str!("../../data/cities.txt").lines().filter_map(city).collect());

/// A name that no gazetteer has.
const NOWHERE: &str = "nowhere";
/// A point this close to a city is in it.
const CITY_DEGREES: f64 = 0.25;

pub(super) fn find(
    q: Option<&str>,
    id: Option<&str>,
    lat: Option<&str>,
    lon: Option<&str>,
) -> Result<Place, Refusal> {
    if let (Some(lat), Some(lon)) = (lat, lon) {
        return point(lat, lon);
    }
    if let Some(q) = q {
        return named(q);
    }
    let id = id.ok_or(Refusal::Nothing)?;
    CITIES.iter().find(|city| city.id.to_string() == id).cloned().ok_or(Refusal::NotFound)
}

fn point(lat: &str, lon: &str) -> Result<Place, Refusal> {
    let within = |text: &str, limit: f64| text.parse().ok().filter(|value: &f64| value.abs() <= limit);
    let latitude = within(lat, 90.0).ok_or(Refusal::Latitude)?;
    let longitude = within(lon, 180.0).ok_or(Refusal::Longitude)?;
    let near = |city: &&Place| {
        (city.latitude - latitude).abs() < CITY_DEGREES && (city.longitude - longitude).abs() < CITY_DEGREES
    };
    let unnamed = || Place {
        name: String::new(),
        country: None,
        latitude,
        longitude,
        // Nautical time zones: whole hours by longitude.
        timezone_s: crate::number::floor((longitude / 15.0).round()) * 3600,
        id: 0,
    };
    let place = CITIES.iter().find(near).cloned().unwrap_or_else(unnamed);
    Ok(Place { latitude, longitude, ..place })
}

fn named(q: &str) -> Result<Place, Refusal> {
    let mut parts = q.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let country = parts.next_back().filter(|code| !code.is_empty());
    if name.eq_ignore_ascii_case(NOWHERE) || !name.chars().any(char::is_alphabetic) {
        return Err(Refusal::NotFound);
    }
    let same = |city: &&Place| {
        city.name.to_lowercase() == name.to_lowercase()
            && country
                .is_none_or(|code| city.country.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(code)))
    };
    Ok(CITIES.iter().find(same).cloned().unwrap_or_else(|| invented(name, country)))
}

/// A town that the list does not have: users choose their own cities, and offline these must work too.
fn invented(name: &str, country: Option<&str>) -> Place {
    let mut dice = Dice::new(&[hash("place"), hash(&name.to_lowercase()), hash(country.unwrap_or_default())]);
    let longitude = dice.real(-180.0, 180.0, 4);
    let country = country.map_or_else(|| nations::any(&mut dice).code.to_owned(), str::to_uppercase);
    Place {
        name: name.to_owned(),
        country: Some(country),
        latitude: dice.real(-50.0, 66.0, 4),
        longitude,
        timezone_s: crate::number::floor((longitude / 15.0).round()) * 3600,
        id: 10_000_000 + dice.below(1_000_000),
    }
}

fn city(line: &str) -> Option<Place> {
    let mut fields = line.split('|');
    let name = fields.next().filter(|name| !name.starts_with('#'))?;
    Some(Place {
        name: name.to_owned(),
        country: fields.next().map(str::to_owned),
        latitude: fields.next()?.parse().ok()?,
        longitude: fields.next()?.parse().ok()?,
        timezone_s: fields.next()?.parse().ok()?,
        id: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_gazetteer_is_a_city() {
        let lines = include_str!("../../data/cities.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(CITIES.len(), lines.count());
    }

    #[test]
    fn city_is_the_same_by_name_and_by_coordinates() {
        let by_name = find(Some("amsterdam,nl"), None, None, None).unwrap();
        let by_point = find(None, None, Some("52.37"), Some("4.89")).unwrap();
        assert_eq!((by_name.id, by_name.key()), (2_759_794, by_point.key()));
        assert_eq!(by_point.name, "Amsterdam");
    }

    #[test]
    fn sea_has_no_name_and_no_country() {
        let sea = find(None, None, Some("-40"), Some("-100")).unwrap();
        assert_eq!((sea.name.as_str(), sea.country.clone(), sea.id), ("", None, 0));
    }

    #[test]
    fn wrong_places_are_refused_by_kind() {
        assert_eq!(find(None, None, None, Some("4")), Err(Refusal::Nothing));
        assert_eq!(find(Some("Nowhere,NL"), None, None, None), Err(Refusal::NotFound));
        assert_eq!(find(None, None, Some("91"), Some("4")), Err(Refusal::Latitude));
        assert_eq!(find(None, None, Some("1"), Some("NaN")), Err(Refusal::Longitude));
    }
}

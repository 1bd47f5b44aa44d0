use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

// A tree is built here only, to compare what the reader sees with what serde_json sees.
fn tree(reader: &mut Reader<'_>) -> Result<Value, Error> {
    let mut scratch = String::new();
    Ok(match reader.peek()? {
        Kind::Null => reader.null().map(|()| Value::Null)?,
        Kind::Bool => reader.boolean()?.into(),
        Kind::Number => serde_json::from_str(reader.number()?).unwrap(),
        Kind::String => reader.string(&mut scratch)?.into(),
        Kind::Array => {
            let mut list = Vec::new();
            reader.array()?;
            while reader.element(list.is_empty())? {
                list.push(tree(reader)?);
            }
            list.into()
        }
        Kind::Object => {
            let mut map = Map::new();
            reader.object()?;
            let mut first = true;
            while let Some(key) = reader.key(first, &mut scratch)? {
                let key = key.to_owned();
                map.insert(key, tree(reader)?);
                first = false;
            }
            map.into()
        }
    })
}

fn read(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes)?;
    let value = tree(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn skip(bytes: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new(bytes)?;
    reader.skip()?;
    reader.end()
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_serde_json_wrote(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        prop_assert_eq!(read(text.as_bytes()), Ok(serde_json::from_str(&text).unwrap()));
        prop_assert_eq!(skip(text.as_bytes()), Ok(()));
    }

    #[test]
    fn accepts_exactly_what_serde_json_accepts(text in r#"[\[\]{}:,"\\ueE0-9.+\-tfnrals \n\x00-\x1f]{0,24}"#) {
        let known: Result<Value, _> = serde_json::from_str(&text);
        let ours = read(text.as_bytes());
        // serde_json refuses numbers beyond f64, whose literals we keep.
        let too_large = known.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assert!(known.is_ok() == ours.is_ok() || too_large, "{:?} {:?} {:?}", text, known, ours);
        prop_assert_eq!(ours.is_ok(), skip(text.as_bytes()).is_ok());
    }

    #[test]
    fn one_flipped_byte_is_judged_as_by_serde_json(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let known: Result<Value, _> = serde_json::from_slice(&bytes);
        let too_large = known.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assert!(known.is_ok() == skip(&bytes).is_ok() || too_large);
    }
}

#[test]
fn hostile_nesting_is_an_error_not_a_crash() {
    for open in ["[", "{\"a\":"] {
        let error = skip(open.repeat(10_000).as_bytes()).unwrap_err();
        assert_eq!(error.what, "nested deeper than 128 levels");
    }
    let deepest = "[".repeat(128) + &"]".repeat(128);
    assert_eq!(skip(deepest.as_bytes()), Ok(()));
}

#[test]
fn raw_nul_nan_and_lone_surrogates_are_errors() {
    for text in
        ["\"\u{0}\"", "NaN", "-Infinity", r#""\ud800""#, r#""\udc00x""#, "01", "1.", "", "1 2", "\u{feff}1"]
    {
        assert!(skip(text.as_bytes()).is_err(), "{text:?}");
    }
}

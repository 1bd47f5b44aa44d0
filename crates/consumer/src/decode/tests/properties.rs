//! What holds for all messages.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::features::keyed;
use super::*;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\\u{0}-\u{1f}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

// By serde_json, whose compact form is the one of the reference.
fn expected(parts: &[Option<Value>]) -> Vec<u8> {
    let parts: Vec<String> =
        parts.iter().map(|part| part.as_ref().map(Value::to_string).unwrap_or_default()).collect();
    let uuid = uuid::Uuid::new_v5(&NAMESPACE, format!("[{}]", parts.join(",")).as_bytes());
    uuid.to_string().into_bytes()
}

// `"text"` with every character as an escape.
fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

proptest! {
    #[test]
    fn a_uuid_depends_on_the_fields_values_and_on_nothing_else(
        parts in prop::collection::vec(prop::option::of(json()), 3),
        noise in json(),
        reversed in any::<bool>(),
    ) {
        let plan = plan("", "id = { uuid = [\"p0\", \"o.p1\", \"p2\"] }\nb = { path = \"noise\", format = \"json\" }\n");
        let nested = parts[1].as_ref().map(|part| json!({ "p1": part }));
        let fields = [("p0", parts[0].clone()), ("o", nested), ("p2", parts[2].clone()), ("noise", Some(noise))];
        let mut fields: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| Some(format!("{} : {:#}", escaped(name), value.as_ref()?)))
            .collect();
        if reversed {
            fields.reverse();
        }
        let value = format!("{{ {} }}", fields.join(" ,\n"));
        let found = row(&plan, &message(value.as_bytes()));
        if parts.iter().all(|part| part.as_ref().is_none_or(Value::is_null)) {
            prop_assert_eq!(found.unwrap_err().class, Class::Key);
        } else {
            prop_assert_eq!(found.unwrap()[0].clone(), Some(expected(&parts)));
        }
    }

    // The row does not depend on which of the features beside it are in use.
    #[test]
    fn a_field_has_the_same_cell_beside_any_other_feature(
        id in "[a-z]{1,8}", n in any::<i32>(), a in prop::option::of("\\PC{0,9}"), ttl in 6..1_000_i64,
    ) {
        let value = json!({ "id": id, "n": n, "a": a, "ttl": ttl, "u": NOW }).to_string();
        let columns = "id = \"id\"\nn = \"n\"\na = \"a\"\n";
        let plain = row(&plan("", columns), &message(value.as_bytes())).unwrap();
        let heads = [
            "ttl = { path = \"ttl\", unit = \"s\" }",
            "writetime = { path = \"u\", time = \"epoch_ms\" }",
            "deletes = \"cells\"",
            "consistency = \"all\"",
            "ttl = { path = \"ttl\", unit = \"s\" }\nwritetime = { path = \"u\", time = \"epoch_ms\" }",
        ];
        for head in heads {
            let more = format!("{columns}b = {{ path = \"b\", default = \"{id}\" }}\n");
            let cells = row(&plan(head, &more), &message(value.as_bytes())).unwrap();
            prop_assert_eq!(&cells[..3], &plain[..3]);
            prop_assert_eq!(cells[3].as_deref(), Some(id.as_bytes()));
        }
    }

    #[test]
    fn no_message_makes_the_decoder_panic(key in prop::collection::vec(any::<u8>(), 0..40), value in "\\PC{0,60}") {
        let plan = plan(
            "deletes = [\"row\", \"cells\"]\nttl = { path = \"t\", unit = \"ms\" }\nwritetime = \"u\"",
            "id = { key = \"a\" }\nn = { path = \"n\", default = 1 }\na = { uuid = [\"a\", \"b\"] }\n",
        );
        let _ = row(&plan, &keyed(Some(&key), value.as_bytes()));
        let wrapped = format!(r#"{{"a":1,"t":{value},"u":"{value}"}}"#);
        let _ = row(&plan, &keyed(Some(br#"{"a":"x"}"#), wrapped.as_bytes()));
    }
}

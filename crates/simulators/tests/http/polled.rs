//! Weather, random users, companies and persons.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use simulators::Settings;

use super::{NOON_MS, Simulator};

#[tokio::test]
async fn weather_without_a_valid_key_is_401() {
    let simulator = Simulator::start(Settings::default()).await;
    for path in [
        "/data/2.5/weather?q=Oslo",
        "/data/2.5/weather?q=Oslo&appid=",
        "/data/2.5/weather?q=Oslo&appid=invalid",
    ] {
        let (status, body) = simulator.json(path).await;
        assert_eq!((status, &body["cod"]), (401, &json!(401)), "{path}");
        assert!(body["message"].as_str().unwrap().starts_with("Invalid API key"), "{body}");
    }
}

#[tokio::test]
async fn weather_refuses_unknown_places_with_cod_as_string() {
    let simulator = Simulator::start(Settings::default()).await;
    let (status, body) = simulator.json("/data/2.5/weather?q=Nowhere&appid=k").await;
    assert_eq!((status, body), (404, json!({"cod": "404", "message": "city not found"})));
    let (status, body) = simulator.json("/data/2.5/weather?appid=k").await;
    assert_eq!((status, body), (400, json!({"cod": "400", "message": "Nothing to geocode"})));
}

#[tokio::test]
async fn weather_holds_for_ten_minutes_and_equals_that_of_an_equal_simulator() {
    let path = "/data/2.5/weather?q=Amsterdam,NL&appid=k";
    let (one, two) =
        (Simulator::start(Settings::default()).await, Simulator::start(Settings::default()).await);
    let first = one.json(path).await;
    assert_eq!(first, two.json(path).await);
    assert_eq!((first.0, &first.1["cod"], &first.1["dt"]), (200, &json!(200), &json!(NOON_MS / 1000)));
    assert_eq!((&first.1["id"], &first.1["name"]), (&json!(2_759_794), &json!("Amsterdam")));
    one.now_ms.store(NOON_MS + 599_999, Ordering::Relaxed);
    assert_eq!(first, one.json(path).await);
    one.now_ms.store(NOON_MS + 600_000, Ordering::Relaxed);
    assert_eq!(one.json(path).await.1["dt"], NOON_MS / 1000 + 600);
    let other = Simulator::start(Settings { seed: 2, ..Settings::default() }).await;
    assert_ne!(first.1["main"], other.json(path).await.1["main"]);
}

#[tokio::test]
async fn weather_at_sea_has_no_country_id_zero_and_integer_coordinates() {
    let simulator = Simulator::start(Settings::default()).await;
    let (_, body) = simulator.json("/data/2.5/weather?lat=-40&lon=-100&appid=k").await;
    assert_eq!((&body["id"], &body["name"]), (&json!(0), &json!("")));
    assert!(body["sys"].get("country").is_none() && body["sys"]["sunrise"].is_i64(), "{body}");
    assert_eq!(body["coord"], json!({"lon": -100, "lat": -40}));
}

#[tokio::test]
async fn weather_limit_counts_calls_of_one_key() {
    let simulator = Simulator::start(Settings { limits: true, ..Settings::default() }).await;
    for _ in 0..60 {
        assert_eq!(simulator.text("/data/2.5/weather?q=Oslo&appid=k").await.0, 200);
    }
    let (status, body) = simulator.json("/data/2.5/weather?q=Oslo&appid=k").await;
    assert_eq!((status, &body["cod"]), (429, &json!(429)));
    assert_eq!(simulator.text("/data/2.5/weather?q=Oslo&appid=other").await.0, 200);
    simulator.now_ms.store(NOON_MS + 60_000, Ordering::Relaxed);
    assert_eq!(simulator.text("/data/2.5/weather?q=Oslo&appid=k").await.0, 200);
}

#[tokio::test]
async fn users_out_of_range_silently_become_one() {
    let simulator = Simulator::start(Settings::default()).await;
    for results in ["0", "5001", "-1", "many", ""] {
        let (status, body) = simulator.json(&format!("/api/1.4/?results={results}")).await;
        assert_eq!((status, &body["info"]["results"]), (200, &json!(1)), "{results}");
        assert_eq!(body["results"].as_array().unwrap().len(), 1);
    }
    let (_, body) = simulator.json("/api/1.4/?results=5000").await;
    assert_eq!(body["results"].as_array().unwrap().len(), 5000);
}

#[tokio::test]
async fn users_of_a_seed_and_page_are_always_the_same() {
    let simulator = Simulator::start(Settings::default()).await;
    let page = |page: u32| format!("/api/1.4/?results=50&seed=demo0102&page={page}");
    let (_, first) = simulator.json(&page(1)).await;
    assert_eq!(first, simulator.json(&page(1)).await.1);
    assert_eq!(first["info"], json!({"seed": "demo0102", "results": 50, "page": 1, "version": "1.4"}));
    let (_, second) = simulator.json(&page(2)).await;
    let uuids = |body: &Value| -> BTreeSet<String> {
        body["results"].as_array().unwrap().iter().map(|user| user["login"]["uuid"].to_string()).collect()
    };
    assert_eq!(uuids(&first).union(&uuids(&second)).count(), 100);
}

#[tokio::test]
async fn users_without_a_seed_differ_and_tell_a_seed_that_repeats_them() {
    let simulator = Simulator::start(Settings::default()).await;
    let (_, one) = simulator.json("/api/1.4/?results=3").await;
    let (_, two) = simulator.json("/api/1.4/?results=3").await;
    assert_ne!(one["results"], two["results"]);
    let seed = one["info"]["seed"].as_str().unwrap();
    assert_eq!(
        one["results"],
        simulator.json(&format!("/api/1.4/?results=3&seed={seed}")).await.1["results"]
    );
    // A seed of 18 characters carries the nationality.
    let (_, norwegian) = simulator.json("/api/1.4/?results=3&nat=no").await;
    let seed = norwegian["info"]["seed"].as_str().unwrap();
    assert_eq!(seed.len(), 18);
    let (_, again) = simulator.json(&format!("/api/1.4/?results=3&seed={seed}")).await;
    assert_eq!(again["results"], norwegian["results"]);
}

#[tokio::test]
async fn users_carry_the_traps_of_their_nationality() {
    let simulator = Simulator::start(Settings::default()).await;
    let (_, body) = simulator.json("/api/1.4/?results=2000&seed=traps").await;
    let mut nations = BTreeSet::new();
    for user in body["results"].as_array().unwrap() {
        let nat = user["nat"].as_str().unwrap();
        nations.insert(nat);
        let postcode = &user["location"]["postcode"];
        assert_eq!(postcode.is_string(), ["CA", "GB", "NO"].contains(&nat), "{user}");
        assert_eq!(postcode.is_u64(), !postcode.is_string(), "{user}");
        assert_eq!(user["id"]["value"].is_null(), ["IR", "NZ", "TR", "UA"].contains(&nat), "{user}");
        assert!(user["location"]["street"]["number"].is_u64(), "{user}");
        assert!(user["location"]["coordinates"]["latitude"].is_string(), "{user}");
        for (secret, len) in [("salt", 8), ("md5", 32), ("sha1", 40), ("sha256", 64)] {
            assert_eq!(user["login"][secret].as_str().unwrap().len(), len, "{user}");
        }
        assert!(!user["login"]["password"].as_str().unwrap().is_empty());
        let date = user["dob"]["date"].as_str().unwrap();
        assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    }
    assert_eq!(nations.len(), 21);
    let names = body.to_string();
    assert!(names.contains("آرش") && names.contains("Шевченко"));
    let (_, lego) = simulator.json("/api/1.4/?nat=lego").await;
    assert!(lego["results"][0]["location"].get("country").is_none(), "{lego}");
}

#[tokio::test]
async fn users_age_while_their_seed_stays() {
    let simulator = Simulator::start(Settings::default()).await;
    let path = "/api/1.4/?seed=demo0102";
    let (_, young) = simulator.json(path).await;
    simulator.now_ms.store(NOON_MS + 366 * 86_400_000, Ordering::Relaxed);
    let (_, old) = simulator.json(path).await;
    let age = |body: &Value| body["results"][0]["dob"]["age"].as_i64().unwrap();
    assert_eq!(age(&old), age(&young) + 1);
    assert_eq!(old["results"][0]["login"], young["results"][0]["login"]);
}

#[tokio::test]
async fn users_come_with_the_fields_asked_for() {
    let simulator = Simulator::start(Settings::default()).await;
    let (_, whole) = simulator.json("/api/1.4/?seed=a").await;
    let (_, some) = simulator.json("/api/1.4/?seed=a&inc=login,nat&noinfo").await;
    let user = &whole["results"][0];
    assert_eq!(some, json!({"results": [{"login": user["login"], "nat": user["nat"]}]}));
    let (_, without) = simulator.json("/api/1.4/?seed=a&exc=login,dob").await;
    let user = without["results"][0].as_object().unwrap();
    assert!(!user.contains_key("login") && !user.contains_key("dob") && user.len() == 10, "{user:?}");
    let (_, women) = simulator.json("/api/1.4/?results=50&gender=female").await;
    assert!(women["results"].as_array().unwrap().iter().all(|user| user["gender"] == "female"));
    let (_, ruled) = simulator.json("/api/1.4/?password=number,4-4").await;
    let password = ruled["results"][0]["login"]["password"].as_str().unwrap();
    assert!(password.len() == 4 && password.bytes().all(|b| b.is_ascii_digit()), "{password}");
}

#[tokio::test]
async fn unknown_version_is_a_404_of_plain_text() {
    let simulator = Simulator::start(Settings::default()).await;
    let response = simulator.get("/api/9.9/").await;
    assert_eq!(response.status(), 404);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn users_limit_counts_users_and_not_requests() {
    let simulator = Simulator::start(Settings { limits: true, ..Settings::default() }).await;
    for _ in 0..4 {
        assert_eq!(simulator.text("/api/1.4/?results=5000&inc=nat").await.0, 200);
    }
    let (status, body) = simulator.json("/api/1.4/").await;
    assert_eq!(status, 429);
    assert!(body["error"].as_str().unwrap().starts_with("Whoa, ease up there cowboy"), "{body}");
    simulator.now_ms.store(NOON_MS + 300_000, Ordering::Relaxed);
    assert_eq!(simulator.text("/api/1.4/").await.0, 200);
}

#[tokio::test]
async fn company_ids_are_positions_in_every_response() {
    let simulator = Simulator::start(Settings::default()).await;
    let (_, one) = simulator.json("/api/v2/companies").await;
    let (_, two) = simulator.json("/api/v2/companies").await;
    for body in [&one, &two] {
        let ids: Vec<u64> =
            body["data"].as_array().unwrap().iter().map(|c| c["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (1..=10).collect::<Vec<u64>>());
    }
    assert_ne!(one["data"], two["data"]);
    assert_eq!((&one["status"], &one["code"], &one["seed"]), (&json!("OK"), &json!(200), &Value::Null));
}

#[tokio::test]
async fn company_quantity_is_silently_capped() {
    let simulator = Simulator::start(Settings::default()).await;
    for (asked, given) in [("3", 3), ("1000", 1000), ("5000", 1000), ("0", 10), ("few", 10)] {
        let (_, body) = simulator.json(&format!("/api/v1/companies?_quantity={asked}")).await;
        assert_eq!(
            (&body["total"], body["data"].as_array().unwrap().len()),
            (&json!(given), given),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn companies_of_a_seed_repeat_and_carry_every_trap() {
    let simulator = Simulator::start(Settings::default()).await;
    let path = "/api/v2/companies?_quantity=1000&_seed=42&_locale=fr_FR";
    let (_, body) = simulator.json(path).await;
    assert_eq!(body, simulator.json(path).await.1);
    assert_eq!((&body["seed"], &body["locale"]), (&json!("42"), &json!("fr_FR")));
    let companies = body["data"].as_array().unwrap();
    let mut spellings = BTreeSet::new();
    let mut leading_zero = false;
    for company in companies {
        let vat = company["vat"].as_str().unwrap();
        assert!((8..=11).contains(&vat.len()) && vat.bytes().all(|b| b.is_ascii_digit()), "{vat}");
        leading_zero |= vat.starts_with('0');
        assert!(company["phone"].as_str().unwrap().starts_with('+'), "{company}");
        let addresses = company["addresses"].as_array().unwrap();
        assert!((1..=5).contains(&addresses.len()) && addresses[0]["id"] == 1, "{company}");
        for address in addresses.iter().chain([&company["contact"]["address"]]) {
            assert!(address["latitude"].is_number(), "{address}");
            spellings.insert((address.get("country_code").is_some(), address.get("county_code").is_some()));
        }
    }
    assert!(leading_zero);
    assert_eq!(spellings, BTreeSet::from([(true, false), (false, true)]));
    let unlike: BTreeSet<String> = companies.iter().map(|c| format!("{}{}", c["name"], c["email"])).collect();
    assert!(unlike.len() > 990, "{}", unlike.len());
}

#[tokio::test]
async fn persons_obey_gender_and_birthdays() {
    let simulator = Simulator::start(Settings::default()).await;
    let path =
        "/api/v2/persons?_quantity=200&_gender=female&_birthday_start=1980-01-01&_birthday_end=1980-12-31";
    let (_, body) = simulator.json(path).await;
    for person in body["data"].as_array().unwrap() {
        assert_eq!(person["gender"], "female");
        assert!(person["birthday"].as_str().unwrap().starts_with("1980-"), "{person}");
    }
}

#[tokio::test]
async fn unknown_resource_and_exceeded_limit_of_companies_are_told_in_json() {
    let simulator = Simulator::start(Settings { limits: true, ..Settings::default() }).await;
    let (status, body) = simulator.json("/api/v2/unicorns").await;
    assert_eq!((status, body), (404, json!({"status": "Not found", "code": 404, "total": 0})));
    for _ in 0..30 {
        assert_eq!(simulator.text("/api/v2/companies?_quantity=1").await.0, 200);
    }
    assert_eq!(simulator.json("/api/v2/companies").await.0, 429);
    assert_eq!(simulator.text("/api/v1/companies?_quantity=1").await.0, 200);
}

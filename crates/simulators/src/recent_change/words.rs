//! data/wikis.txt and word lists -> titles, users and comments, kind and hostile.

use std::sync::LazyLock;

use crate::dice::Dice;
use crate::nations;

/// One wiki.
#[derive(Debug)]
pub(super) struct Wiki {
    pub(super) database: &'static str,
    pub(super) domain: &'static str,
    pub(super) script: &'static str,
    pub(super) weight: u32,
    pub(super) patrols: bool,
}

pub(super) static WIKIS: LazyLock<Vec<Wiki>> =
    LazyLock::new(|| include_str!("../../data/wikis.txt").lines().filter_map(wiki).collect());

fn wiki(line: &'static str) -> Option<Wiki> {
    let mut fields = line.split('|');
    Some(Wiki {
        database: fields.next().filter(|name| !name.starts_with('#'))?,
        domain: fields.next()?,
        script: fields.next()?,
        weight: fields.next()?.parse().ok()?,
        patrols: fields.next()? == "1",
    })
}

/// Words of a title, by script; space-separated.
const NOUNS: [(&str, &str); 9] = [
    (
        "latin",
        "Zwaluw Lighthouse Canal Sonata Métro Orchid Glacier Tramway Cathedral Bicycle Señorita Øresund Windmill \
         Quartz Marathon Château Volcano Falcon Harbour Kraków Piñata Dolmen Archive Estuary",
    ),
    (
        "cyrillic",
        "Ластівка Маяк Канал Ледник Собор Мельница Орхидея Вулкан Архив Ђердап Сокол Трамвай Київ Ґанок",
    ),
    ("greek", "Φάρος Κανάλι Ορχιδέα Ηφαίστειο Μύλος Αρχείο Γεράκι Θάλασσα Νησί"),
    ("cjk", "灯台 運河 氷河 大聖堂 风车 兰花 火山 档案 猎鹰 路面電車 東京 石英 𠮷野家"),
    ("hangul", "등대 운하 빙하 대성당 풍차 난초 화산 기록 매 전차 한강"),
    ("arabic", "منارة قناة مثلجة كاتدرائية طاحونة بركان أرشيف صقر قطار خلیج پل چشمه"),
    ("hebrew", "מגדלור תעלה קרחון קתדרלה סחלב הר־געש ארכיון בז רכבת ירושלים"),
    ("devanagari", "दीपस्तंभ नहर हिमनद ऑर्किड ज्वालामुखी अभिलेख बाज़ गंगा"),
    ("thai", "ประภาคาร คลอง ธารน้ำแข็ง กล้วยไม้ ภูเขาไฟ เหยี่ยว กรุงเทพ"),
];

/// What breaks careless readers: markup, quotes, spreadsheet formulas, scripts that run backwards, controls.
pub(super) const HOSTILE: [&str; 16] = [
    "<script>alert('x')</script>",
    "\"quoted\", 'single' and \\backslash\\ %s {0} ${HOME}",
    "'; DROP TABLE wikipediadata; --",
    "=HYPERLINK(\"http://example.com\";\"click\")",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈",
    "\u{202e}desrever\u{202c} text",
    "עברית and English מעורבבים",
    "Z\u{335}a\u{336}l\u{337}g\u{338}o\u{334}\u{301}\u{327}",
    "tab\there",
    "first line\nsecond line\r\nthird line",
    "\n\nevent: message\ndata: {}\n\n",
    "line\u{2028}separator \u{feff}mark",
    "bell\u{7} and unit\u{1f}",
];

pub(super) fn title(dice: &mut Dice, script: &str) -> String {
    match script {
        "item" => format!("Q{}", 1 + dice.below(130_000_000)),
        "file" => {
            let ending = dice.pick(&["jpg", "svg", "png", "ogg", "pdf", "webm"]);
            format!("File:{} {} {}.{ending}", noun(dice, "latin"), noun(dice, "latin"), dice.below(10_000))
        }
        script => match dice.below(6) {
            0 => noun(dice, script).to_owned(),
            1 => format!("{} ({})", noun(dice, script), noun(dice, script)),
            2 => format!("{} {}", noun(dice, script), 1800 + dice.below(227)),
            3 => format!("{}/{}", noun(dice, script), noun(dice, script)),
            _ => format!("{} {}", noun(dice, script), noun(dice, script)),
        },
    }
}

pub(super) fn noun(dice: &mut Dice, script: &str) -> &'static str {
    static LISTS: LazyLock<Vec<Vec<&str>>> =
        LazyLock::new(|| NOUNS.iter().map(|(_, words)| words.split_whitespace().collect()).collect());
    // Items and files have no words of their own: the first list, Latin, names what they show.
    let list = NOUNS.iter().position(|(name, _)| *name == script).unwrap_or(0);
    dice.pick(&LISTS[list])
}

pub(super) fn user(dice: &mut Dice, bot: bool) -> String {
    let nation = nations::any(dice);
    let female = dice.percent(50);
    let first = dice.pick(if female { &nation.female } else { &nation.male });
    if bot {
        return format!("{first}Bot");
    }
    match dice.below(20) {
        // Addresses of the ranges that are kept for documentation.
        0 | 1 => format!("198.51.100.{}", dice.below(256)),
        2 => format!("2001:DB8:{:X}:{:X}::{:X}", dice.below(65_536), dice.below(65_536), dice.below(65_536)),
        3 | 4 => format!("~2026-{:05}-{:02}", dice.below(100_000), dice.below(100)),
        5..=9 => format!("{first} {}", dice.pick(&nation.last)),
        10 => dice.pick(&nation.last).to_string(),
        _ => format!("{first}{}", dice.below(2000)),
    }
}

/// A comment and the HTML that MediaWiki makes of it.
pub(super) fn comment(dice: &mut Dice, wiki: &Wiki, title: &str) -> (String, String) {
    if wiki.script == "item" {
        let label = noun(dice, "latin");
        let text = format!("/* wbsetlabel-set:1|nl */ {label}");
        let html = format!(
            "<span dir=\"auto\"><span class=\"autocomment\">Changed [nl] label: </span></span> {label}"
        );
        return (text, html);
    }
    let section = noun(dice, wiki.script);
    match dice.below(6) {
        0 => (String::new(), String::new()),
        1 => ("typo".to_owned(), "typo".to_owned()),
        2 => {
            let html = format!(
                "<span class=\"autocomment\"><a href=\"/wiki/{}#{section}\">→{section}</a></span> copyedit",
                percent_encoded(title)
            );
            (format!("/* {section} */ copyedit"), html)
        }
        3 => {
            let html =
                format!("see <a href=\"/wiki/{section}\" title=\"{section}\">{section}</a> &amp; more");
            (format!("see [[{section}]] & more"), html)
        }
        4 => {
            let who = user(dice, false);
            let text =
                format!("Undid revision {} by [[Special:Contributions/{who}|{who}]]", dice.below(1 << 31));
            (text.clone(), escaped(&text))
        }
        _ => {
            let text = format!("{section}, {}", noun(dice, wiki.script));
            (text.clone(), text)
        }
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A title as MediaWiki puts it into a URL.
pub(super) fn percent_encoded(title: &str) -> String {
    let mut out = String::with_capacity(title.len() * 2);
    for byte in title.bytes() {
        match byte {
            b' ' => out.push('_'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            _ if b"-_.~;@$!*(),/:".contains(&byte) => out.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_wiki_with_words_of_its_script() {
        let lines = include_str!("../../data/wikis.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(WIKIS.len(), lines.count());
        assert!(WIKIS.len() >= 40);
        for wiki in WIKIS.iter() {
            let known = NOUNS.iter().any(|(script, _)| *script == wiki.script);
            assert!(known || ["item", "file"].contains(&wiki.script), "{wiki:?}");
        }
    }

    #[test]
    fn titles_are_encoded_as_mediawiki_does() {
        assert_eq!(percent_encoded("Århus (by)/100%"), "%C3%85rhus_(by)/100%25");
    }
}

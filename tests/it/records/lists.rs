//! Lists of records.

use std::collections::BTreeSet;

use conversation_tests::{Api, Stack};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{RECORDS, all, put, write};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The keys of a page, and whether there are more.
fn keys(page: &Value) -> (Vec<String>, bool) {
    let keys =
        page["data"].as_array().unwrap().iter().map(|record| record["key"].as_str().unwrap().to_owned());
    let keys: Vec<_> = keys.collect();
    assert_eq!(page["first_id"].as_str(), keys.first().map(String::as_str));
    assert_eq!(page["last_id"].as_str(), keys.last().map(String::as_str));
    (keys, page["has_more"].as_bool().unwrap())
}

/// What is listed, page by page.
async fn pages(api: &Api, scope: &str, query: &str, limit: usize) -> Vec<String> {
    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let begin = after.map(|after| format!("&after={}", encoded(&after))).unwrap_or_default();
        let page = api.get(&format!("{scope}?limit={limit}{query}{begin}")).await;
        let (keys, more) = keys(&page.json());
        assert!(keys.len() <= limit && (!more || !keys.is_empty()));
        listed.extend(keys);
        if !more {
            return listed;
        }
        after = listed.last().cloned();
    }
}

/// Keys around the ends of ranges: by bytes, not by any collation.
const KEYS: [&str; 16] = [
    "a",
    "a/",
    "a/1",
    "a/10",
    "a/2",
    "A",
    "B",
    "aa",
    "b",
    "\u{e9}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{d7ff}x",
    "\u{10ffff}",
    "\u{10ffff}\u{10ffff}",
    "a\u{10ffff}b",
];

#[tokio::test]
async fn keys_are_listed_in_the_order_of_their_bytes() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for scope in RECORDS {
        let records: Vec<_> = KEYS.iter().map(|key| json!({"key":key,"value":key})).collect();
        assert_eq!(write(&api, scope, records.into()).await.status, 200);
        let sorted: BTreeSet<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
        let expected = |wanted: &dyn Fn(&str) -> bool| {
            sorted.iter().filter(|key| wanted(key)).cloned().collect::<Vec<_>>()
        };
        for limit in [1, 3, 1000] {
            assert_eq!(pages(&api, scope, "", limit).await, expected(&|_| true));
            let mut reversed = expected(&|_| true);
            reversed.reverse();
            assert_eq!(pages(&api, scope, "&order=desc", limit).await, reversed);
            for prefix in ["", "a", "a/", "\u{d7ff}", "\u{10ffff}", "b", "zz"] {
                let query = format!("&prefix={}", encoded(prefix));
                assert_eq!(
                    pages(&api, scope, &query, limit).await,
                    expected(&|key| key.starts_with(prefix)),
                    "{prefix}"
                );
            }
            // Of what several selectors have in common each is listed once.
            let query = format!("&prefix=a%2F&prefix=a&key=a&key=none&key={}", encoded("\u{e9}"));
            let wanted = expected(&|key| key.starts_with('a') || key == "\u{e9}");
            assert_eq!(pages(&api, scope, &query, limit).await, wanted);
            let mut reversed = wanted;
            reversed.reverse();
            assert_eq!(pages(&api, scope, &(query + "&order=desc"), limit).await, reversed);
        }
        let (listed, _) = keys(&api.get(&format!("{scope}?key=b&key=a")).await.json());
        assert_eq!(listed, ["a", "b"]);
    }
    for query in ["limit=0", "limit=1001", "order=up", "values=1", "key=", "prefix=%00", "after=%00"] {
        assert_eq!(api.get(&format!("{}?{query}", RECORDS[0])).await.status, 400, "{query}");
    }
    let none = api.get("/v1/conversations/none/records").await;
    assert_eq!((none.status, keys(&none.json())), (200, (vec![], false)));
}

#[tokio::test]
async fn a_page_is_no_larger_than_an_answer() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for scope in RECORDS {
        // Together larger than an answer; the last by itself larger than one as text.
        for (key, value) in
            [("1", "x".repeat(3 << 20)), ("2", "y".repeat(3 << 20)), ("3", "\u{1}".repeat(4 << 20))]
        {
            assert_eq!(put(&api, &format!("{scope}/{key}"), &[], value).await.status, 200);
        }
        let page = async |after: &str| api.get(&format!("{scope}?values=true&after={after}")).await.json();
        for (after, key, more) in [("", "1", true), ("1", "2", true), ("2", "3", false)] {
            let page = page(after).await;
            assert_eq!(keys(&page), (vec![key.to_owned()], more), "after {after}");
        }
        assert_eq!(page("1").await["data"][0]["value"].as_str().map(str::len), Some(3 << 20));
        assert!(page("2").await["data"][0]["base64"].is_string(), "as text it does not fit");
        let (listed, more) = keys(&api.get(scope).await.json());
        assert_eq!((listed.len(), more), (3, false), "without values they all fit");
        assert_eq!(all(&api, scope).await.len(), 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Against a map that is ordered by bytes.
    #[test]
    fn a_list_is_what_a_sorted_map_says(
        keys in prop::collection::btree_set("[ab/\u{d7ff}\u{e000}\u{10ffff}]{1,4}", 1..30),
        prefixes in prop::collection::vec("[ab/\u{d7ff}\u{10ffff}]{0,2}", 1..3),
        limit in 1..8_usize, descending: bool,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let stack = Stack::start().await;
            let api = stack.api().await;
            let records: Vec<_> = keys.iter().map(|key| json!({"key":key,"value":""})).collect();
            assert_eq!(write(&api, RECORDS[0], records.into()).await.status, 200);
            let mut expected: Vec<_> =
                keys.iter().filter(|key| prefixes.iter().any(|prefix| key.starts_with(prefix))).cloned().collect();
            let mut query: String = prefixes.iter().map(|prefix| format!("&prefix={}", encoded(prefix))).collect();
            if descending {
                expected.reverse();
                query.push_str("&order=desc");
            }
            assert_eq!(pages(&api, RECORDS[0], &query, limit).await, expected);
            let deleted = api.delete(&format!("{}?prefix={}", RECORDS[0], encoded(&prefixes[0]))).await.number("/deleted");
            let gone = keys.iter().filter(|key| key.starts_with(&prefixes[0])).count();
            assert_eq!(usize::try_from(deleted).unwrap(), gone);
        });
    }
}

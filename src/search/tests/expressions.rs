//! Constraints are read as Python would read them, and nothing else is.

use serde_json::json;

use crate::search::expression::Expression;

fn holds(text: &str) -> bool {
    let point = json!({"hidden": 96, "heads": 8, "opt/lr": 0.01, "kernel": "rbf", "flag": true});
    let names = ["hidden", "heads", "opt/lr", "kernel", "flag", "absent"];
    Expression::parse(text, &names).unwrap().holds(point.as_object().unwrap()).unwrap()
}

fn refusal(text: &str) -> String {
    let point = json!({"hidden": 96, "kernel": "rbf", "opt/lr": 0.1});
    match Expression::parse(text, &["hidden", "kernel", "opt/lr"]) {
        Ok(parsed) => parsed.holds(point.as_object().unwrap()).unwrap_err().to_string(),
        Err(error) => format!("{error} {}", error.hint().unwrap_or_default()),
    }
}

#[test]
fn arithmetic_and_logic() {
    for text in [
        "hidden % heads == 0",
        "2 + 3 * 4 == 14 and (2 + 3) * 4 == 20",
        "-2 ** 2 == -4 and 2 ** -1 == 0.5 and 2 ** 3 ** 2 == 512",
        "-7 % 3 == 2 and -7 // 2 == -4",
        "1 < heads <= 8 < hidden",
        "not hidden < 10 or false",
        "kernel == 'rbf' and kernel != \"poly\"",
        "kernel in ['rbf', 'linear'] and heads not in (2, 4)",
        "opt.lr < 0.1 and `opt/lr` >= 1e-2",
        "min(hidden, heads, 100) == 8 and max(1, 2) == 2 and abs(-3) == 3",
        "log(100, 10) == 2 and sqrt(16) == 4 and log2(8) == 3",
        "flag and flag == true",
        "kernel == 'linear' or hidden > 1",
        "'a' < 'b'",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in ["hidden < heads", "1 < 3 < 2", "0 / 0 == 0 / 0", "not flag", "hidden == 'rbf'"] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn an_inactive_parameter_leaves_nothing_to_meet() {
    assert!(holds("absent < 0"));
    assert!(holds("hidden < 0 and absent > 3"));
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    for (text, reason) in [
        ("hiden > 1", "did you mean \"hidden\""),
        ("lr > 1", "`opt/lr` in backquotes"),
        ("hidden > ", "missing after \">\""),
        ("hidden = 3", "equality is written =="),
        ("(hidden > 1", "not closed"),
        ("hidden > 1 2", "nothing can follow"),
        ("hidden + 1", "a value and not a condition"),
        ("kernel + 1 > 2", "\"rbf\" is not a number"),
        ("kernel < 2", "have no order"),
        ("open('x') == 1", "no function open"),
        ("sqrt(1, 2) == 1", "does not take 2 arguments"),
        ("hidden", "neither true nor false"),
        ("'rbf", "not closed"),
        ("1.2.3 < hidden", "not a number"),
        ("hidden; 1", "means nothing"),
        ("", "a value is missing"),
    ] {
        let found = refusal(text);
        assert!(found.contains(reason), "{text}: {found}");
    }
    assert!(refusal(&format!("{}1{} > 0", "(".repeat(200), ")".repeat(200))).contains("deep"));
    assert!(refusal(&format!("hidden > {}", "1+".repeat(1000))).contains("too long"));
    assert!(refusal(&"2**".repeat(200)).contains("deep"));
}

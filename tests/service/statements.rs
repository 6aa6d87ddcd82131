//! The grammar: every statement, what is refused and where, and that printing and parsing are each other's opposite.

use edge_session::error::{Details, ErrorCode};
use edge_session::service::role::RoleType;
use edge_session::service::statement::{
    Comparison, Item, Password, Predicate, Show, Stage, Statement, Term, is_ours, parse,
};
use edge_session::service::table::{Cell, Table};
use proptest::prelude::*;

use super::rows;

fn one(text: &str) -> Statement {
    let mut statements = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(statements.len(), 1);
    statements.remove(0)
}

/// The position and the expectations of a syntax error.
fn refused(text: &str) -> (u64, Vec<&'static str>) {
    let error = parse(text).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Syntax);
    let Details::Syntax { position, expected } = error.details() else { panic!("{error}") };
    (*position, expected.clone())
}

#[test]
fn the_statements_of_the_matrix_are_read() {
    for row in &rows(include_str!("../data/service/statements.txt"))[1..] {
        assert!(is_ours(&row[0]), "{}", row[0]);
        assert_eq!(parse(&row[0]).is_err(), row[1] == "SYNTAX", "{}", row[0]);
    }
}

#[test]
fn every_statement_has_its_shortest_and_its_longest_form() {
    let text = |text: &str| Term::Text(text.into());
    let table = [
        ("SHOW SESSIONS", Statement::Show(Show::Sessions { local: false }, vec![])),
        ("show local sessions", Statement::Show(Show::Sessions { local: true }, vec![])),
        ("SHOW SESSION 'x'", Statement::Show(Show::Session(text("x")), vec![])),
        ("SHOW SESSION 17", Statement::Show(Show::Session(Term::Number(17)), vec![])),
        ("SHOW QUERIES", Statement::Show(Show::Queries { local: false }, vec![])),
        ("Show Local Queries", Statement::Show(Show::Queries { local: true }, vec![])),
        ("SHOW USERS", Statement::Show(Show::Users, vec![])),
        ("SHOW SPACES", Statement::Show(Show::Spaces, vec![])),
        ("SHOW GRANTS", Statement::Show(Show::Grants, vec![])),
        ("SHOW ROLES IN shop", Statement::Show(Show::Roles("shop".into()), vec![])),
        ("KILL SESSION \"x\"", Statement::KillSession(text("x"))),
        ("KILL SESSIONS -5", Statement::KillSession(Term::Number(-5))),
        ("KILL QUERY (PLAN = 3)", Statement::KillQuery { session: None, plan: Term::Number(3) }),
        ("KILL QUERY(SESSION='x',PLAN=3)", Statement::KillQuery { session: Some(text("x")), plan: Term::Number(3) }),
        ("KILL QUERY(PLAN=3,SESSION='x')", Statement::KillQuery { session: Some(text("x")), plan: Term::Number(3) }),
        ("CREATE USER ann", Statement::CreateUser { name: "ann".into(), lenient: false, password: None }),
        (
            "CREATE USER IF NOT EXISTS ann WITH PASSWORD 'pw'",
            Statement::CreateUser { name: "ann".into(), lenient: true, password: Some(Password("pw".into())) },
        ),
        (
            "ALTER USER ann WITH PASSWORD 'pw'",
            Statement::AlterUser { name: "ann".into(), password: Password("pw".into()) },
        ),
        ("DROP USER ann", Statement::DropUser { name: "ann".into(), lenient: false }),
        ("DROP USER IF EXISTS ann", Statement::DropUser { name: "ann".into(), lenient: true }),
        (
            "CHANGE PASSWORD ann FROM 'a' TO 'b'",
            Statement::ChangePassword { name: "ann".into(), from: Password("a".into()), to: Password("b".into()) },
        ),
        ("DESCRIBE USER ann", Statement::DescribeUser("ann".into())),
        ("DESC USER ann", Statement::DescribeUser("ann".into())),
        (
            "GRANT dba ON shop TO ann",
            Statement::Grant { role: RoleType::Dba, space: "shop".into(), user: "ann".into() },
        ),
        (
            "REVOKE ROLE God ON shop FROM ann",
            Statement::Revoke { role: RoleType::God, space: "shop".into(), user: "ann".into() },
        ),
        ("CREATE SPACE shop", Statement::CreateSpace { name: "shop".into(), lenient: false }),
        ("CREATE SPACE IF NOT EXISTS shop", Statement::CreateSpace { name: "shop".into(), lenient: true }),
        ("DROP SPACE shop", Statement::DropSpace { name: "shop".into(), lenient: false }),
        ("DROP SPACE IF EXISTS shop", Statement::DropSpace { name: "shop".into(), lenient: true }),
        ("USE `my shop`", Statement::Use("my shop".into())),
    ];
    for (text, statement) in table {
        assert_eq!(one(text), statement, "{text}");
    }
}

#[test]
fn keywords_stay_usable_as_names() {
    assert_eq!(one("DROP USER if"), Statement::DropUser { name: "if".into(), lenient: false });
    assert_eq!(one("CREATE USER user"), Statement::CreateUser { name: "user".into(), lenient: false, password: None });
    assert_eq!(one("USE use"), Statement::Use("use".into()));
    assert_eq!(
        one("GRANT ROLE ADMIN ON on TO to"),
        Statement::Grant { role: RoleType::Admin, space: "on".into(), user: "to".into() }
    );
    assert_eq!(one("SHOW ROLES IN roles"), Statement::Show(Show::Roles("roles".into()), vec![]));
}

#[test]
fn a_pipe_holds_columns_conditions_order_limits_and_kills() {
    let text = "SHOW SESSIONS | YIELD $-.SessionId AS sid, $-.UserName WHERE $-.UserName == 'ann' AND NOT ($-.SpaceName == 'shop' OR $-.ActiveQueries > 2) | ORDER BY $-.sid DESC | LIMIT 3 | KILL SESSIONS $-.sid";
    let column = |name: &str| Term::Column(name.into());
    let compare = |name, how, term| Predicate::Compare(column(name), how, term);
    let filter = Predicate::And(vec![
        compare("UserName", Comparison::Equal, Term::Text("ann".into())),
        Predicate::Not(Box::new(Predicate::Or(vec![
            compare("SpaceName", Comparison::Equal, Term::Text("shop".into())),
            compare("ActiveQueries", Comparison::Greater, Term::Number(2)),
        ]))),
    ]);
    let items = vec![
        Item { term: column("SessionId"), alias: Some("sid".into()) },
        Item { term: column("UserName"), alias: None },
    ];
    let stages = vec![
        Stage::Yield { items, filter: Some(filter) },
        Stage::OrderBy { column: "sid".into(), descending: true },
        Stage::Limit(3),
        Stage::KillSession(column("sid")),
    ];
    assert_eq!(one(text), Statement::Show(Show::Sessions { local: false }, stages));
    let query = one(
        "SHOW QUERIES | YIELD $-.SessionID AS s, $-.ExecutionPlanID AS p | KILL QUERY (SESSION = $-.s, PLAN = $-.p)",
    );
    assert!(matches!(query, Statement::Show(_, stages) if matches!(stages[1], Stage::KillQuery { .. })));
}

#[test]
fn an_error_names_the_place_and_what_would_have_done_there() {
    assert_eq!(refused("KILL SESSION"), (12, vec!["a string", "an integer", "$-."]));
    assert_eq!(refused("SHOW ROLES shop"), (11, vec!["IN"]));
    assert_eq!(refused("GRANT ROLE BOSS ON s TO u"), (11, vec!["GOD", "ADMIN", "DBA", "USER", "GUEST"]));
    assert_eq!(refused("SHOW USERS 5"), (11, vec!["|", ";", "the end"]));
    assert_eq!(refused("USE a; USE"), (10, vec!["a name"]));
    // JavaScript counts in UTF-16 code units.
    assert_eq!(refused("KILL SESSION '🦀' '"), (18, vec![";", "the end"]));
    assert_eq!(refused("CREATE USER ann WITH PASSWORD 'secret"), (30, vec!["a string"]));
    // What stands there is named, not what might have stood before it.
    assert_eq!(refused("SHOW USERS | LIMIT -1"), (21, vec!["a number that is not negative"]));
    assert_eq!(refused("SHOW USERS | LIMIT 1.5"), (19, vec!["an integer"]));
    for number in ["9223372036854775808", "-9223372036854775809", "99999999999999999999"] {
        let statement = format!("KILL QUERY (PLAN = {number})");
        assert_eq!(refused(&statement), (statement.len() as u64 - 1, vec!["an integer of 64 bits"]), "{number}");
    }
    let long = parse(&"x".repeat(1 << 17)).unwrap_err();
    assert!(long.code() == ErrorCode::Syntax && !long.cause().contains("raise"), "{long}");
    let (at, expected) = refused("");
    assert_eq!((at, expected.first()), (0, Some(&";")));
}

#[test]
fn an_error_and_what_is_shown_hold_no_password() {
    let error = parse("CREATE USER ann WITH PASSWORD 'sesame' nonsense").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"));
    for text in [
        "CREATE USER a WITH PASSWORD 'sesame'",
        "ALTER USER a WITH PASSWORD 'sesame'",
        "CHANGE PASSWORD a FROM 'sesame' TO 'sesame'",
    ] {
        let statement = one(text);
        assert!(!format!("{statement} {statement:?}").contains("sesame"));
        assert_eq!(one(&statement.text()), statement, "its text is the whole");
    }
}

#[test]
fn sequences_comments_and_escapes_are_read() {
    let several = parse(";; USE a -- the first\n; SHOW USERS; # the last\n").unwrap();
    assert_eq!(several, [Statement::Use("a".into()), Statement::Show(Show::Users, vec![])]);
    assert_eq!(
        one(r#"KILL SESSION "\"\\\n\u00e9\ud83e\udd80'""#),
        Statement::KillSession(Term::Text("\"\\\né🦀'".into()))
    );
    assert_eq!(one("USE `a``b`"), Statement::Use("a`b".into()));
    for broken in [
        r#"KILL SESSION "\ud83e""#,
        r#"KILL SESSION "\u12""#,
        "USE ``",
        "KILL SESSION 99999999999999999999",
        "KILL SESSION 1.5",
    ] {
        assert!(parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn other_text_is_the_hosts() {
    for text in ["MATCH (n) RETURN n", "SHOW HOSTS", "CREATE TAG t()", "", "  ", "USERS", "'SHOW USERS'"] {
        assert!(!is_ours(text), "{text}");
    }
    for text in ["-- hello\nSHOW\tUSERS", "kill nonsense", ";"] {
        assert_eq!(is_ours(text), text != ";", "{text}");
    }
}

#[test]
fn no_text_exhausts_the_stack() {
    let head = "SHOW USERS | YIELD $-.a WHERE ";
    for deep in ["NOT ".repeat(10_000), "(".repeat(20_000)] {
        let (_, expected) = refused(&format!("{head}{deep}1 == 1"));
        assert_eq!(expected, ["fewer conditions within each other"]);
    }
    let wide = vec!["1 == 1"; 5_000].join(" OR ");
    let wide = one(&format!("{head}{wide}"));
    assert_eq!(one(&wide.to_string()), wide);
    assert!(parse(&"x".repeat(70_000)).is_err());
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,6}", "[^\\x00]{1,6}", Just("if".into()), Just("$system".into())]
}

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![
        any::<String>().prop_map(Term::Text),
        any::<i64>().prop_map(Term::Number),
        name().prop_map(Term::Column)
    ]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let how = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
        Comparison::Contains,
        Comparison::StartsWith,
    ]);
    let leaf = (term(), how, term()).prop_map(|(left, how, right)| Predicate::Compare(left, how, right));
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Predicate::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::And),
            prop::collection::vec(inner, 2..4).prop_map(Predicate::Or),
        ]
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let item = (term(), prop::option::of(name())).prop_map(|(term, alias)| Item { term, alias });
    let items = prop::collection::vec(item, 1..3);
    prop_oneof![
        (items, prop::option::of(predicate())).prop_map(|(items, filter)| Stage::Yield { items, filter }),
        (name(), any::<bool>()).prop_map(|(column, descending)| Stage::OrderBy { column, descending }),
        (0..=i64::MAX as u64).prop_map(Stage::Limit),
        term().prop_map(Stage::KillSession),
        (prop::option::of(term()), term()).prop_map(|(session, plan)| Stage::KillQuery { session, plan }),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    let show = prop_oneof![
        any::<bool>().prop_map(|local| Show::Sessions { local }),
        term().prop_map(Show::Session),
        any::<bool>().prop_map(|local| Show::Queries { local }),
        Just(Show::Users),
        Just(Show::Spaces),
        Just(Show::Grants),
        name().prop_map(Show::Roles),
    ];
    let password = || any::<String>().prop_map(Password);
    let role = || prop::sample::select(RoleType::ALL.to_vec());
    prop_oneof![
        (show, prop::collection::vec(stage(), 0..3)).prop_map(|(show, stages)| Statement::Show(show, stages)),
        term().prop_map(Statement::KillSession),
        (prop::option::of(term()), term()).prop_map(|(session, plan)| Statement::KillQuery { session, plan }),
        (name(), any::<bool>(), prop::option::of(password()))
            .prop_map(|(name, lenient, password)| Statement::CreateUser { name, lenient, password }),
        (name(), password()).prop_map(|(name, password)| Statement::AlterUser { name, password }),
        (name(), any::<bool>()).prop_map(|(name, lenient)| Statement::DropUser { name, lenient }),
        (name(), password(), password()).prop_map(|(name, from, to)| Statement::ChangePassword { name, from, to }),
        name().prop_map(Statement::DescribeUser),
        (role(), name(), name()).prop_map(|(role, space, user)| Statement::Grant { role, space, user }),
        (role(), name(), name()).prop_map(|(role, space, user)| Statement::Revoke { role, space, user }),
        (name(), any::<bool>()).prop_map(|(name, lenient)| Statement::CreateSpace { name, lenient }),
        (name(), any::<bool>()).prop_map(|(name, lenient)| Statement::DropSpace { name, lenient }),
        name().prop_map(Statement::Use),
    ]
}

/// Text that is nearly a statement, and text that is nothing like one.
fn noise() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "SHOW", "SESSIONS", "SESSION", "|", "YIELD", "WHERE", "(", ")", "NOT", "'", "\"", "\\u", "`", "$-.", "a", "12",
        "KILL", "QUERY", "PLAN", "=", "==", ";", "CREATE", "USER", "IF", "GRANT", "ROLE", "ON", "--", "🦀",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(word, 0..24).prop_map(|words| words.join(" ")),
        statement().prop_flat_map(|it| {
            let text = it.text();
            (Just(text.clone()), 0..=text.len()).prop_map(|(text, cut)| {
                let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text[..cut].to_string()
            })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(statements in prop::collection::vec(statement(), 1..4)) {
        let text: Vec<String> = statements.iter().map(Statement::text).collect();
        prop_assert!(is_ours(&text[0]));
        prop_assert_eq!(parse(&text.join("; ")), Ok(statements));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in noise()) {
        let ours = is_ours(&text);
        match parse(&text) {
            Ok(statements) => {
                prop_assert!(!statements.is_empty() && (ours || text.trim_start().starts_with(';')));
            }
            Err(error) => {
                let Details::Syntax { position, expected } = error.details() else { panic!("{error:?}") };
                prop_assert!(*position <= text.encode_utf16().count() as u64 && !expected.is_empty());
            }
        }
    }
}

proptest! {
    #[test]
    fn rows_are_ordered_as_a_sort_that_keeps_order_does(
        numbers in prop::collection::vec(0..9_i64, 0..200),
        descending in any::<bool>(),
    ) {
        let mut table = Table::new(&["a", "b"]);
        table.rows =
            numbers.iter().enumerate().map(|(at, n)| vec![Cell::Number(*n), Cell::Number(at as i64)]).collect();
        let mut expected = table.rows.clone();
        expected.sort_by(|one, other| if descending { other[0].cmp(&one[0]) } else { one[0].cmp(&other[0]) });
        table.order(0, descending);
        prop_assert_eq!(table.rows, expected);
    }
}

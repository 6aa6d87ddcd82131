//! What clients are answered, handed to the checker one key at a time.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::guarantee::Guarantees;
use edge_session::io::{Answer, Item, Outcome, Range};
use edge_session::store::entry::{Content, Key};

use crate::checker::alarm::{Alarm, Kind};
use crate::checker::reads::Said;
use crate::client::Asked;
use crate::step::tolerable;
use crate::workload::PATIENCE;
use crate::world::World;

impl World {
    /// An operation has ended.
    pub fn answered(
        &mut self,
        client: usize,
        node: usize,
        asked: &Asked,
        judged: Guarantees,
        result: Result<Answer, SessionError>,
        hasty: bool,
    ) -> Result<(), Alarm> {
        self.tell(|| format!("   c{client}@n{node} {} -> {}", question(asked), words(&result)));
        if let (Asked::Write(write, _), Err(_)) = (asked, &result) {
            self.judge(client).withdraw(*write);
        }
        let answer = match result {
            Ok(Answer::Outcome(Outcome::Behind(_))) => {
                self.clients[client].failures += 1;
                return Ok(());
            }
            Ok(Answer::Outcome(Outcome::Lost(_))) => return self.lost(client, asked, judged),
            Err(error) if error.code() == ErrorCode::DependencyLost => return self.lost(client, asked, judged),
            Err(error) => {
                self.clients[client].failures += match error.code() {
                    ErrorCode::StaleReplica => 1,
                    ErrorCode::TokenTooLarge => PATIENCE + 1,
                    _ => 0,
                };
                return tolerable(&error);
            }
            Ok(answer) => answer,
        };
        self.clients[client].failures = 0;
        let stale =
            matches!(answer, Answer::Outcome(Outcome::Value { stale: true, .. } | Outcome::Absent { stale: true }));
        let judgement = self.judge_answer(client, node, asked, judged, answer, hasty);
        let whole = matches!(asked, Asked::Conflicts(_) | Asked::List(_));
        self.record_read(client, node, judged, whole, stale);
        judgement
    }

    fn judge_answer(
        &mut self,
        client: usize,
        node: usize,
        asked: &Asked,
        judged: Guarantees,
        answer: Answer,
        hasty: bool,
    ) -> Result<(), Alarm> {
        match (asked, answer) {
            (Asked::Read(key), Answer::Item(item)) => self.judge_item(client, node, judged, key, item.as_ref(), false),
            (Asked::Read(key), Answer::Outcome(Outcome::Value { item, stale, .. })) => {
                self.judge_item(client, node, judged, key, Some(&item), stale)
            }
            (Asked::Read(key), Answer::Outcome(Outcome::Absent { stale })) => {
                self.judge_item(client, node, judged, key, None, stale)
            }
            (Asked::Conflicts(key), Answer::Items(items)) => {
                let reader = self.reader(client, node, judged);
                let said: Vec<_> = items.iter().map(|item| (item.version.as_str(), &item.content)).collect();
                self.judge(client).read_siblings(reader, key, &said)
            }
            (Asked::List(range), Answer::Items(items)) => self.judge_list(client, node, judged, range, &items),
            (Asked::Write(write, durable), answer @ Answer::Version(_)) => {
                let storage = self.profile.storage[node];
                self.judge(client).acknowledge(node, *write, &answer, *durable && storage && !hasty)
            }
            (Asked::Seal, Answer::Token(text)) => self.given(client, node, text, true),
            (asked, answer) => {
                Alarm::raise(Kind::Contract, format!("{} was answered with {answer:?}", question(asked)))
            }
        }
    }

    /// The replica says that nobody will ever hold what the session depends on. Then the session is given up.
    fn lost(&mut self, client: usize, asked: &Asked, judged: Guarantees) -> Result<(), Alarm> {
        self.clients[client].failures += PATIENCE + 1;
        self.judge(client).is_lost(client, judged, matches!(asked, Asked::Write(..)))
    }

    fn judge_item(
        &mut self,
        client: usize,
        node: usize,
        judged: Guarantees,
        key: &Key,
        item: Option<&Item>,
        stale: bool,
    ) -> Result<(), Alarm> {
        let mut reader = self.reader(client, node, judged);
        reader.stale = stale;
        let named = self.judge(client).read(reader, key, said(item), false)?;
        match item {
            Some(item) if !named.is_empty() => {
                self.clients[client].versions.insert(key.clone(), (item.version.clone(), named))
            }
            _ => self.clients[client].versions.remove(key),
        };
        Ok(())
    }

    /// A list is a read of every key in its range, as far as its limit lets it see.
    fn judge_list(
        &mut self,
        client: usize,
        node: usize,
        judged: Guarantees,
        range: &Range,
        items: &[Item],
    ) -> Result<(), Alarm> {
        let mut keys: Vec<Key> = (0..self.profile.keys).map(|number| format!("k{number:02}").into()).collect();
        if range.reverse {
            keys.reverse();
        }
        let within = |key: &Key| {
            range.start.as_deref().is_none_or(|start| start <= &**key)
                && range.end.as_deref().is_none_or(|end| &**key < end)
                && range.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
        };
        let full = range.limit.is_some_and(|limit| items.len() as u64 >= limit);
        let reader = self.reader(client, node, judged);
        let mut items = items.iter().peekable();
        for key in keys.iter().filter(|key| within(key)) {
            if full && items.peek().is_none() {
                return Ok(());
            }
            let item = items.next_if(|item| item.key == *key);
            self.judge(client).read(reader, key, said(item), true)?;
        }
        match items.next() {
            Some(item) => Alarm::raise(Kind::Answer, format!("a list has {} out of its range or order", item.key)),
            None => Ok(()),
        }
    }
}

fn said(item: Option<&Item>) -> Said<'_> {
    item.map(|item| (item.version.as_str(), &item.content, item.expires_at))
}

fn question(asked: &Asked) -> String {
    match asked {
        Asked::Read(key) => format!("reads {key}"),
        Asked::Conflicts(key) => format!("asks for the siblings of {key}"),
        Asked::List(range) => {
            let (start, end) = (range.start.as_deref().unwrap_or(""), range.end.as_deref().unwrap_or(""));
            format!("lists {start}..{end}")
        }
        Asked::Write(write, _) => format!("writes w{write}"),
        Asked::Seal => "seals".into(),
    }
}

fn words(result: &Result<Answer, SessionError>) -> String {
    let content = |content: &Content| match content {
        Content::Text(text) => text.split('|').next().unwrap_or_default().to_owned(),
        other => format!("{other:?}"),
    };
    match result {
        Err(error) => error.code().as_str().into(),
        Ok(Answer::Item(None) | Answer::Outcome(Outcome::Absent { .. })) => "absent".into(),
        Ok(Answer::Item(Some(item)) | Answer::Outcome(Outcome::Value { item, .. })) => content(&item.content),
        Ok(Answer::Outcome(Outcome::Behind(_))) => "behind".into(),
        Ok(Answer::Outcome(Outcome::Lost(_))) => "lost".into(),
        Ok(Answer::Items(items)) => {
            items.iter().map(|item| format!("{}={}", item.key, content(&item.content))).collect::<Vec<_>>().join(" ")
        }
        Ok(Answer::Version(_)) => "written".into(),
        Ok(Answer::Token(_)) => "a token".into(),
        Ok(Answer::Reply(text)) => text.clone(),
        Ok(Answer::Table(table)) => table.to_string(),
        Ok(Answer::Done) => "done".into(),
    }
}

//! An owner's export by pages, each of them one snapshot.

use crate::types::conversation::{ConversationId, OwnerId};
use crate::types::error::Error;
use crate::types::transfer::{ExportCursor, Exported, Scope, write_line};

use super::ConversationIndex;

/// A page of an owner's export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPage {
    /// The lines, each with its line break.
    pub lines: String,
    /// Where the next page begins; none: this is the last one.
    pub next: Option<ExportCursor>,
}

impl ConversationIndex {
    /// The lines of an owner's export from a place on, as many as `budget` holds by the measure of `size_of`, but at least one that is not
    /// just a beginning. The page is one snapshot, and valid by itself: what goes on with a conversation begins with its line again, whose
    /// counts are those of the page. So all that was acknowledged before the first page was asked for is in the pages, unless it was
    /// deleted meanwhile.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn export_page(
        &self,
        owner: &OwnerId,
        after: Option<&ExportCursor>,
        budget: usize,
        size_of: fn(&str) -> usize,
    ) -> Result<ExportPage, Error> {
        let mut snapshots = self.database.snapshots(&Scope::Owner(owner.clone()), after).await?;
        let mut page = Page { groups: Vec::new(), bytes: 0, budget, size_of, place: after.cloned() };
        if let Some(after) = after
            && let Some(beginning) = snapshots.resume(after.clone()).await?
        {
            page.begin(beginning);
            page.place = Some(after.clone());
        }
        loop {
            let lines = snapshots.next().await?;
            if lines.is_empty() {
                return Ok(ExportPage { lines: page.text(), next: None });
            }
            for line in lines {
                if !page.take(line) {
                    return Ok(ExportPage { next: page.place.clone(), lines: page.text() });
                }
            }
        }
    }
}

/// A page that is being filled.
struct Page {
    groups: Vec<Group>,
    bytes: usize,
    budget: usize,
    size_of: fn(&str) -> usize,
    /// The place behind the last line.
    place: Option<ExportCursor>,
}

/// An owner or a conversation, and what the page has of it.
struct Group {
    beginning: Exported,
    lines: Vec<String>,
    messages: i64,
    records: i64,
}

impl Page {
    /// Takes a line, unless it does not fit any more.
    fn take(&mut self, line: Exported) -> bool {
        let begins = matches!(line, Exported::Conversation(_) | Exported::Owner(_));
        let of = self.groups.last().and_then(|group| conversation(&group.beginning));
        let text = text_of(&line, of);
        let size = (self.size_of)(&text);
        let is_empty = self.groups.iter().all(|group| group.lines.is_empty());
        if self.bytes + size > self.budget && !is_empty {
            return false;
        }
        self.place = Some(ExportCursor::behind(&line, self.place.take()));
        if begins {
            self.begin(line);
            return true;
        }
        self.bytes += size;
        if let Some(group) = self.groups.last_mut() {
            let is_message = matches!(line, Exported::Message(_));
            group.messages += i64::from(is_message);
            group.records += i64::from(!is_message);
            group.lines.push(text);
        }
        true
    }

    fn begin(&mut self, beginning: Exported) {
        self.bytes += (self.size_of)(&text_of(&beginning, None));
        self.groups.push(Group { beginning, lines: Vec::new(), messages: 0, records: 0 });
    }

    fn text(self) -> String {
        let mut text = String::new();
        for Group { mut beginning, lines, messages, records } in self.groups {
            match &mut beginning {
                Exported::Conversation(conversation) => {
                    conversation.message_count = messages;
                    conversation.record_count = records;
                }
                Exported::Owner(owner) => owner.record_count = records,
                Exported::Message(_) | Exported::Record(_) => {}
            }
            text.push_str(&text_of(&beginning, None));
            text.extend(lines);
        }
        text
    }
}

fn conversation(beginning: &Exported) -> Option<&ConversationId> {
    if let Exported::Conversation(conversation) = beginning { Some(&conversation.key.id) } else { None }
}

/// A line with its line break.
fn text_of(line: &Exported, of: Option<&ConversationId>) -> String {
    let mut bytes = Vec::new();
    // Every part of it has a JSON form, which is text.
    let written = write_line(line, of, &mut bytes).is_ok();
    if written { String::from_utf8(bytes).unwrap_or_default() } else { String::new() }
}

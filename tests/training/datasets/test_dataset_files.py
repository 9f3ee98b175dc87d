"""Tables with any columns, JSON lists, and files that are not what they seem."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.requests import ColumnRole
from engine.training.datasets.columns import parse_columns
from engine.training.datasets.dataset_files import read_columns, read_examples
from engine.training.datasets.examples import TrainingExample

Write = Callable[..., Path]
PAIR = TrainingExample.from_pair("When do you open?", "At 8:30.")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


class TestTables:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_any_usual_delimiter(self, write: Write, delimiter: str) -> None:
        text = f"question{delimiter}answer\n" + f"When do you open?{delimiter}At 8:30.\n"
        assert read_examples(write(text)) == (PAIR,)

    @pytest.mark.parametrize(
        "data",
        [
            "Frage;Antwort\r\nWann?;Um 8, außer sonntags\r\n".encode("utf-8-sig"),
            "Frage\tAntwort\r\nWann?\tUm 8, außer sonntags\r\n".encode("utf-16"),
            b"sep=;\r\n\r\nFrage;Antwort\r\nWann?;Um 8, au\xc3\x9fer sonntags\r\n;\r\n",
            b'"Nr";"Frage";"Antwort"\n1;"Wann?";"Um 8, au\xc3\x9fer sonntags";;\n',
        ],
        ids=["byte-order mark", "utf-16", "sep line and empty rows", "quoted, with empty cells at the end"],
    )
    def test_as_spreadsheets_save_them(self, write: Write, data: bytes) -> None:
        assert read_examples(write(data)) == (TrainingExample.from_pair("Wann?", "Um 8, außer sonntags"),)

    @pytest.mark.parametrize(
        "header",
        [
            "Question,Answer",
            "prompt,completion",
            "instruction,output",
            "INPUT,Output",
            "FRAGE,ANTWORT",
            "q,a",
            "user,assistant",
        ],
    )
    def test_common_names_are_known(self, write: Write, header: str) -> None:
        assert read_examples(write(f"{header}\nWhen do you open?,At 8:30.\n")) == (PAIR,)

    def test_columns_that_are_named_win(self, write: Write) -> None:
        path = write("question;title;answer;body\nx;When do you open?;y;At 8:30.\n")
        columns = parse_columns(["question=Title", " answer = body "])
        assert read_examples(path, columns) == (PAIR,)

    def test_named_columns_decide_the_delimiter(self, write: Write) -> None:
        path = write("Was, wann;Dazu, kurz\nWhen do you open?;At 8:30.\n")
        assert read_examples(path, {"question": "was, wann", "answer": "Dazu, kurz"}) == (PAIR,)

    def test_instruction_context_and_passage(self, write: Write) -> None:
        path = write("system,question,context,answer,group\nBe brief.,When?,On Sundays,Never.,page 3\n,When?,,At 9.,\n")
        first, second = read_examples(path)
        assert [(message.role, message.content) for message in first.prompt] == [
            ("system", "Be brief."),
            ("user", "When?\n\nOn Sundays"),
        ]
        assert (first.answer, first.group) == ("Never.", "page 3")
        assert second == TrainingExample.from_pair("When?", "At 9.")

    def test_what_our_own_files_put_before_formulas_is_not_learnt(self, write: Write) -> None:
        assert read_examples(write("question,answer\nWhat is it?,'=1+1\n"))[0].answer == "=1+1"

    def test_columns_to_choose_from(self, write: Write) -> None:
        assert read_columns(write("Nr;Was;Dazu\n1;a;b\n")) == ("Nr", "Was", "Dazu")
        assert read_columns(write('{"was": "a", "dazu": "b"}\n', "data.jsonl")) == ("was", "dazu")
        assert read_columns(write("")) == ()

    @pytest.mark.parametrize(
        ("text", "columns", "says"),
        [
            ("Nr;Was\n1;x\n", {}, "line 1: the columns question and answer are missing; the columns are 'Nr', 'Was'"),
            ("question,text\na,b\n", {}, "the column answer is missing; the columns are 'question', 'text'"),
            ("question,answer\na,b\n", {"answer": "Reply"}, "no column 'Reply' for the answer; the columns are"),
            ("q,x,x\na,b,c\n", {"answer": "x"}, "two columns 'x'"),
            ("", {}, "there are no columns"),
            (";".join(f"column {number}" for number in range(50)) + "\n", {}, "'column 19' and 30 more"),
            ("question,answer\na,b,c\n", {}, "line 2 has 3 fields, the header 2"),
            ("question;answer\na;\n", {}, "line 2: `answer` is missing"),
            ('question,answer\na,"b\n', {}, "line 2 is not CSV"),
        ],
        ids=range(9),
    )
    def test_complaints(self, write: Write, text: str, columns: dict[ColumnRole, str], says: str) -> None:
        with pytest.raises(InputError) as caught:
            read_examples(write(text), columns)
        assert says in caught.value.message
        assert caught.value.message.startswith("data.csv")
        assert caught.value.hint

    @pytest.mark.parametrize("text", ["Frage", "question=", "=Frage", "title=Frage"])
    def test_what_does_not_name_a_column(self, text: str) -> None:
        with pytest.raises(InputError, match="does not say") as caught:
            parse_columns([text])
        assert "question, answer, system" in (caught.value.hint or "")


class TestJson:
    ROW: ClassVar = {"instruction": "When do you open?", "input": "", "output": "At 8:30."}

    @pytest.mark.parametrize("indent", [None, 2])
    def test_a_list_is_as_good_as_lines(self, write: Write, indent: int | None) -> None:
        assert read_examples(write(json.dumps([self.ROW, self.ROW], indent=indent), "data.json")) == (PAIR, PAIR)

    def test_fields_of_any_name(self, write: Write) -> None:
        path = write('{"titre": "When do you open?", "texte": "At 8:30."}', "data.jsonl")
        assert read_examples(path, {"question": "titre", "answer": "texte"}) == (PAIR,)

    def test_a_field_that_need_not_be_there_may_be_missing_in_some_rows(self, write: Write) -> None:
        rows = '{"ask": "When?", "about": "Sundays", "say": "Never."}\n{"ask": "When do you open?", "say": "At 8:30."}\n'
        first, second = read_examples(
            write(rows, "data.jsonl"), {"question": "ask", "answer": "say", "context": "about", "system": "about"}
        )
        assert [message.content for message in first.prompt] == ["Sundays", "When?\n\nSundays"]
        assert second == PAIR

    def test_what_a_row_says_beside_its_conversation(self, write: Write) -> None:
        turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
        row = {"conversations": turns * 2, "system": "Be brief."}
        first, second = read_examples(write(json.dumps(row) + "\n" + json.dumps(row | {"group": "p"}), "data.jsonl"))[1:3]
        assert [message.role for message in first.prompt] == ["system", "user", "assistant", "user"]
        assert (first.group, second.group) == ("line 1", "p")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[]", "holds no examples"),
            ('[{"question": "a", "answer": "b"}, 3]', "item 2 is not a JSON object"),
            ('[{"question": "a", "answer": "b"}, {"question": "a"}]', "item 2: the column answer is missing"),
            ('[\n{"question": "a",\n', "line 3 is not JSON"),
            ('[{"question": "a", "answer": "b"}]\n[1]', "line 2 is not JSON"),
        ],
    )
    def test_complaints(self, write: Write, text: str, says: str) -> None:
        with pytest.raises(InputError) as caught:
            read_examples(write(text, "data.json"))
        assert says in caught.value.message

    def test_half_a_character_does_not_get_in(self, write: Write) -> None:
        (example,) = read_examples(write('{"question": "a\\ud800", "answer": "\\ud83d\\ude00"}', "data.jsonl"))
        assert (example.question, example.answer) == ("a\N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}")


@given(
    st.binary(max_size=200) | st.text("\x00\t\n\r\"',;|[]{}:aq\ufeff", max_size=60).map(lambda text: text.encode()),
    st.sampled_from(["", "question,answer\n", "question;answer\r\n", "Frage\tAntwort\n", "[", '{"question": "a", ', "sep=;\n"]),
    st.sampled_from(["data.jsonl", "data.json", "data.csv", "data.tsv"]),
    st.dictionaries(st.sampled_from(["question", "answer", "system"]), st.text(max_size=5), max_size=2),
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, before: str, name: str, columns: dict[ColumnRole, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(before.encode() + data)
    with contextlib.suppress(InputError):  # anything else fails the test
        for example in read_examples(path, columns):
            assert example.question.encode()
            assert example.answer.encode()
    with contextlib.suppress(InputError):
        read_columns(path)

"""What a sample cannot tell: questions to a person, their answers, and doubts that are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class SampleProblem(ValueError):
    """No feed can be proposed from the samples; the message has the reason and the fix."""


@dataclass(frozen=True)
class Question:
    """A choice that only a person can make.

    Attributes:
        about: name of the choice, which is that of its flag: ``date-order``.
        text: the question, with values from the file.
        choices: the possible answers and what each means.
        likely: the answer that `--yes` takes; None if a wrong guess would load wrong values.
        flag: how the answer is given on the command line, without the answer.
        is_open: whether other answers than the choices are possible.
    """

    about: str
    text: str
    choices: Mapping[str, str]
    likely: str | None
    flag: str
    is_open: bool = False

    def describe(self) -> str:
        """The question with its answers, for a terminal."""
        answers = [
            f"{self.flag}{shown(answer)}: {meaning}" for answer, meaning in self.choices.items()
        ]
        likely = "" if self.likely is None else f" (likely: {self.likely or 'none'})"
        return "\n    ".join([f"{self.text}{likely}", *answers])


@dataclass(frozen=True)
class Doubt:
    """A choice that was made and that a person should look at.

    Attributes:
        column: name of the column in the feed; None if it concerns the file.
        text: what was chosen, and why.
    """

    column: str | None
    text: str


@dataclass
class Decisions:
    """Answers that are known, and what is still open.

    Attributes:
        answers: by the name of the choice.
        take_likely: whether the likely answer of a question is taken (`--yes`).
        questions: those without an answer, in the order in which they came up.
        doubts: choices that a person should look at.
    """

    answers: Mapping[str, str] = field(default_factory=dict)
    take_likely: bool = False
    questions: list[Question] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def ask(
        self,
        about: str,
        text: str,
        choices: Mapping[str, str],
        *,
        likely: str | None,
        flag: str | None = None,
        column: str | None = None,
        is_open: bool = False,
    ) -> str:
        """The answer. Without one, the question is kept and a provisional answer is returned.

        Raises:
            SampleProblem: the given answer is none of the choices.
        """
        question = Question(about, text, choices, likely, flag or f"--{about} ", is_open)
        if about in self.answers:
            answer = self.answers[about]
            if answer not in choices and not is_open:
                raise SampleProblem(
                    f"{question.flag}{answer} is no answer to: {text} Answers: {', '.join(choices)}"
                )
            return answer
        if likely is not None and self.take_likely:
            meaning = choices.get(likely, likely)
            self.doubt(f"{text} Taken: {meaning}", column)
            return likely
        self.questions.append(question)
        return next(iter(choices)) if likely is None else likely

    def doubt(self, text: str, column: str | None = None) -> None:
        """Keep what a person should look at."""
        self.doubts.append(Doubt(column, text))

    def of_column(self, name: str) -> Sequence[str]:
        """The doubts about a column."""
        return [doubt.text for doubt in self.doubts if doubt.column == name]


#: Characters that look like a blank, or like nothing.
_INVISIBLE = {"\t": "TAB", "\u00a0": "U+00A0", "\u202f": "U+202F", "\ufeff": "U+FEFF", " ": "' '"}


def shown(text: str) -> str:
    """A short text for a message: what cannot be seen is named (``U+00A0``, ``\\n``)."""
    if text in _INVISIBLE:
        return _INVISIBLE[text]
    return "".join(
        character
        if character == " " or character.isprintable()
        else {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"U+{ord(character):04X}")
        for character in text
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def quoted(text: str, length: int = 40) -> str:
    """A value from a file for a message, in quotes and cut to a length."""
    plain = shown(text)
    return f"'{plain if len(plain) <= length else plain[: length - 1] + '…'}'"

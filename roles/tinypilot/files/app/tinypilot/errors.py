# SPDX-License-Identifier: MIT
"""What is not done, and why not, in a sentence."""


class ApiError(Exception):
    """A sentence for the person, the values of its {names}, and the HTTP status that goes with it. The sentence is
    a key of the catalogues (see i18n.py); str() is English."""

    def __init__(
        self,
        status: int,
        sentence: str,
        *,
        retry_after: int | None = None,
        code_needed: bool = False,
        **values: object,
    ):
        super().__init__(sentence.format(**values) if values else sentence)
        self.status = status
        self.sentence = sentence
        self.values = values
        self.retry_after = retry_after
        self.code_needed = code_needed

    @classmethod
    def of_another_program(cls, status: int, sentence: str, values: dict) -> "ApiError":
        """Which has raised one of these."""
        return cls(status, sentence, **values)

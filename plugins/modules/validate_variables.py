# SPDX-License-Identifier: MIT
"""Documentation of the validate_variables action; the code is in plugins/action/validate_variables.py."""

DOCUMENTATION = r"""
module: validate_variables
short_description: Answer a mistake in a role's variables in one sentence
description:
  - Compares the variables of the calling role with its C(meta/argument_specs.yml). A variable that has
    the role's prefix but is not in the specification is a typo. Runs on the controller and changes nothing.
options:
  ranges:
    description: Smallest and largest allowed value of numeric variables, a list of two for each name.
    type: dict
    default: {}
  patterns:
    description: >-
      What a string (or each string of a list) must look like, a regular expression and words for each name.
      The words complete the sentence "... must be".
    type: dict
    default: {}
  renamed:
    description: >-
      New name of each variable that had another one. The old name is refused with a sentence that says the new one.
      Either may have the prefix of another role; the table belongs into the role whose prefix the old name has, which
      would answer with a guess otherwise.
    type: dict
    default: {}
"""

RETURN = r"""
msg:
  description: The sentences, one for each error; empty when there is none.
  type: str
  returned: always
"""

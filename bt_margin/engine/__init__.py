"""The engine: the only place where money moves.

``events`` and ``ledger`` are the record, ``pool`` the state, ``plan`` and ``preview`` the pure verdicts,
``reading``, ``book`` and ``account`` the account, ``liquidation`` and ``margin_calls`` what happens to it,
``step`` the bar contract with ``walk`` and ``scout`` for dangerous bars.
"""

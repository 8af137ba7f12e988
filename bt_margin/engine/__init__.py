"""The engine: the only place where money moves.

``events`` and ``ledger`` are the record, ``pool`` the state, ``plan`` and ``preview`` the pure verdicts,
``reading``, ``book`` and ``account`` the account, ``liquidation`` and ``margin_calls`` what happens to it,
``step`` the bar contract: ``bound`` says which pools a bar could endanger, ``scout`` and ``walk`` lead those
through it, along the legs of their ``quote``.
"""

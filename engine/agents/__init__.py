"""Smart agents: they answer customers from a collection and collect leads.

Lives here: making an agent and its model (`library`, `factory`), a turn of its conversation (`agent`), finding lead fields in a
customer's words (`leads` and what it is made of), and the fixed phrases (`phrases`). Finding and checking answers is
`engine.rag`'s; rows are `engine.db`'s.
"""

from engine.agents.agent import AgentDelta, SmartAgent
from engine.agents.library import AgentLibrary

__all__ = ["AgentDelta", "AgentLibrary", "SmartAgent"]

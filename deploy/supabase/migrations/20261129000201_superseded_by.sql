-- Which run took the place of this one on their thread, when that is why it was asked to stop: its messages were brought
-- to the thread then.
alter table public.agent_runs add column superseded_by uuid;

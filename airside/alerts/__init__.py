"""What the planner is told: the rule table and the publishers."""

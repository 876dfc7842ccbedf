"""Critics: what labels Retrieve, IsRel, IsSup and IsUse, and how one is made."""

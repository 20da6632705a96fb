-- Tables that the nodes share, of the farm orchestrator-prod
-- Made by nlbgen VERSION from the spec with digest 8f7ab3cf693d4028.
-- Do not edit: change the spec and run `nlbgen render nodes` again.
-- Run it against SQL01\PROD (sqlcmd -S ... -i verify.sql): every row must show `present`.
USE [UiPath];

SELECT wanted.name AS [table],
       CASE WHEN OBJECT_ID(wanted.name) IS NULL THEN 'MISSING' ELSE 'present' END AS [state],
       wanted.made_by AS [made by]
FROM (VALUES
    (N'[dbo].[ASPStateTempApplications]', N'sessionstate.ps1'),
    (N'[dbo].[ASPStateTempSessions]', N'sessionstate.ps1')
) AS wanted (name, made_by);

-- The applications that store sessions: more than one row means that the IIS site ids of the nodes differ.
IF OBJECT_ID(N'[dbo].[ASPStateTempApplications]') IS NOT NULL
    EXEC (N'SELECT AppName AS [application; one row for the farm] FROM [dbo].[ASPStateTempApplications]');
